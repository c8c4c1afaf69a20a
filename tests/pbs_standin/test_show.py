"""The text form of the stand-in, given the recorded attributes, is the recorded text."""

import re

import pytest
from support import captures
from support.openpbs import show

RECORDED = sorted(path.stem for path in captures.FOLDER.glob("*_f.txt"))


@pytest.mark.parametrize("name", RECORDED)
def test_lines_are_folded_where_pbs_folds_them(name: str) -> None:
    """A line is unfolded and folded again."""
    text = captures.captured(name).out
    lines = re.findall(r"^    \S+ = .*(?:\n\t.*)*", text, re.MULTILINE)
    assert len(lines) > 20
    for line in lines:
        attribute, _, value = line.strip().replace("\n\t", "").partition(" = ")
        assert show.fold(attribute, value + " " * (len(line) - len(line.rstrip()))) == line
