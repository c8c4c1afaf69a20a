import io
import sys

import pytest

from hpcbrew.cli.transfer_bar import moving


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_grows_and_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with moving("Sending", 2_000_000) as told:
        for size in (500_000, 1_500_000, -1_000_000):
            told(size)
    assert "Sending" in terminal.getvalue()
    assert "1.0/2.0 MB" in terminal.getvalue()


@pytest.mark.parametrize("total", [0, 2_000_000])
def test_elsewhere_and_where_nothing_moves_there_is_none(total: int, capsys: pytest.CaptureFixture[str]) -> None:
    with moving("Sending", total) as told:
        told(total)
    assert capsys.readouterr().err == ""
