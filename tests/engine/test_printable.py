"""What a terminal would obey or hide, written out."""

import pytest
from support.hostile_text import HOSTILE, raw

from engine.printable import message, printable
from engine.proto import raw_bytes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1/7x7_s2 → ‘loss’ é 漢字 😀", None),
        ("a\u00a0b\u3000c", None),  # blanks that are seen as such
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("a\rb", r"a\rb"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
        (b"caf\xe9".decode(errors="surrogateescape"), r"caf\xe9"),
        (raw_bytes.decoded(b"caf\xe9"), r"caf\xe9"),
        ("\U000e0041", r"\U000e0041"),
        ("\x00", r"\x00"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str | None) -> None:
    assert printable(text, one_line=True) == (text if shown is None else shown)
    assert printable(text) == (text if shown is None else shown)


def test_line_breaks_and_tabs_stay_but_on_one_line() -> None:
    assert printable("a\n\tb\x07") == "a\n\tb\\x07"
    assert printable("a\n\tb\x07", one_line=True) == r"a\n\tb\x07"


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_is_left_that_a_terminal_would_obey(text: str) -> None:
    assert raw(printable(text)) == []
    assert "\n" not in printable(text, one_line=True)
    printable(text).encode()


def test_of_what_is_too_long_a_message_shows_how_it_begins_and_ends() -> None:
    assert message("no \x1b, a" + "x" * 299) == r"no \x1b, a" + "x" * 299
    assert (
        message("f.txt: " + "a" * 500 + "b" * 500 + " is no number") == f"f.txt: {'a' * 140}…{'b' * 140} is no number"
    )
    assert message("a b " * 10_000) == f"{'a b ' * 625}…{'a b ' * 625}"
