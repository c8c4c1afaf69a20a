import os
import pty
import subprocess
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from engine import terminal_text

MODEL = "/home/ada/.local/share/hpcbrew/runs/shapes-0c9bbda4/snapshots/shapes_iter_300.caffemodel"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """One of sixty columns."""
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 60))
    with open(theirs, "w") as stream:  # noqa: PTH123 - a descriptor has no path
        yield stream
    os.close(ours)


def test_lines_break_between_words_and_the_further_ones_are_indented(terminal: TextIO) -> None:
    words = "Next: hpcbrew fetch shapes downloads it, hpcbrew plot shapes plots it"
    assert terminal_text.wrapped(words, terminal, indent=4) == (
        "Next: hpcbrew fetch shapes downloads it, hpcbrew plot shapes\n    plots it"
    )
    assert terminal_text.wrapped("\nb", terminal) == "\nb"


def test_a_path_longer_than_a_line_is_whole_again_when_it_is_copied_into_a_shell(terminal: TextIO) -> None:
    first, *path = terminal_text.wrapped(f"Model: {MODEL}", terminal, indent=4).split("\n")
    assert first == "Model:"
    assert max(map(len, path)) <= 60
    assert path[0].endswith("/\\")
    typed = ["bash", "-c", "printf %s " + "\n".join(path)]
    assert subprocess.run(typed, capture_output=True, text=True, check=True).stdout == MODEL


def test_a_word_that_nothing_parts_stays_whole(terminal: TextIO) -> None:
    assert terminal_text.wrapped("a " + "b" * 70, terminal, indent=4) == "a\n" + "b" * 70


def test_what_is_no_terminal_has_no_width() -> None:
    with open(os.devnull, "w") as stream:  # noqa: PTH123 - as the shell opens it
        assert terminal_text.wrapped(f"Model: {MODEL}", stream) == f"Model: {MODEL}"
    assert terminal_text.wrapped(MODEL, None) == MODEL
