"""Reads window files word by word: for each picture `# INDEX`, its path, its channels, height and width; its boxes."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine.data.picture_list import read_lines
from engine.data.spelt_numbers import integer
from engine.errors import DataError

T = TypeVar("T")

CORNERS = ("x1", "y1", "x2", "y2")


class Words:
    """The words of a file, regardless of how they are split into lines."""

    def __init__(self, path: Path) -> None:
        self.path, self._line = path, 0
        self._left = ((number, word) for number, line in enumerate(read_lines(path), start=1) for word in line.split())

    def take(self, kind: Callable[[str], T | None], what: str) -> T:
        """The next word, converted by `kind`. Raises DataError, naming the line, if `kind` returns None for it."""
        self._line, word = next(self._left, (self._line, ""))
        value = kind(word)
        if value is None:
            found = f'"{word}"' if word else "the end of the file"
            raise DataError(f"{self.path}:{self._line}: {found} where {what} should be.")
        return value

    def count(self, what: str) -> int:
        """The next word, a whole number of 0 or more that says how many of something follow. Raises DataError."""
        return self.take(partial(_from, 0), what)

    def one_or_more(self, what: str) -> int:
        """The next word, a whole number above 0. Raises DataError."""
        return self.take(partial(_from, 1), f"{what}, 1 or more,")

    def pictures(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """Yields each picture's path, and its channels, height and width; the caller takes its boxes before the next.

        Raises DataError.
        """
        for line, mark in self._left:
            self._line = line
            if mark != "#":
                raise DataError(f'{self.path}:{self._line}: "{mark}" where a new picture should begin with "# INDEX".')
            self.take(integer, "the picture's index")
            picture = self.take(lambda word: word or None, "the picture's path")
            channels, height, width = (
                self.take(integer, f"the picture's {what}") for what in ("channels", "height", "width")
            )
            yield picture, (channels, height, width)


def _from(least: int, word: str) -> int | None:
    """The whole number that a word spells, if it is `least` or more; otherwise None."""
    value = integer(word)
    return value if value is not None and value >= least else None
