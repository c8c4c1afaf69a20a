import sys

import pytest

from hpcbrew.cli import tables

HEADS = ("ID", "STATE", "LOSS", "NOTE")
ROWS = [("1.local", "done", "0.5", ""), ("12.local", "failed", "", "its words go on and on")]


def shown(capsys: pytest.CaptureFixture[str], columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: bool(columns))
    monkeypatch.setenv("COLUMNS", str(columns))
    tables.show(HEADS, ROWS)
    return capsys.readouterr().out.splitlines()


def test_columns_are_as_wide_as_what_is_in_them(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(capsys, 0, monkeypatch) == [
        "ID        STATE   LOSS  NOTE",
        "1.local   done    0.5",
        "12.local  failed        its words go on and on",
    ]


def test_on_a_terminal_what_does_not_fit_goes_below_its_row_between_words(capsys, monkeypatch) -> None:
    assert shown(capsys, 20, monkeypatch) == [
        "ID        STATE",
        "1.local   done",
        "    loss 0.5",
        "12.local  failed",
        "    its words go on",
        "    and on",
    ]


def test_a_column_that_nothing_is_in_is_left_out(capsys) -> None:
    tables.show(("A", "B", "C"), [("1", "", "3")])
    assert capsys.readouterr().out == "A  C\n1  3\n"


@pytest.mark.parametrize(
    ("columns", "here", "lines"),
    [
        (13, "here", ["A     C", "long  1", "b     2"]),
        (19, "here", ["A     WHERE  C", "long  here   1", "b     here   2"]),
        (12, "there", ["A     WHERE", "long  here", "    c 1", "b     there", "    c 2"]),
    ],
)
def test_a_column_that_can_be_spared_makes_room_where_it_tells_nothing(
    columns: int, here: str, lines: list[str], capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    tables.show(("A", "WHERE", "C"), [("long", "here", "1"), ("b", here, "2")], spare=("WHERE",))
    assert capsys.readouterr().out.splitlines() == lines
