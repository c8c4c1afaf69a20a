"""The commands in README.md, as a user would type them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAMS = ("hpcbrew", "caffe", "convert_", "compute_", "pip", "scripts/", "source", "eval")
SHELL = r"^```\n(?P<shell>.*?)^```$"
OTHERS = r"^```\w+\n.*?^```$"
INLINE = r"(?<!`)`(?P<inline>[^`]+)`(?!`)"


@dataclass(frozen=True)
class Command:
    """A line of a code block without a language, or text in backticks that begins with a program and has arguments.
    `section`: the heading above it, "" before the first."""

    section: str
    line: str


def commands(page: str) -> list[Command]:
    """The commands in the order of the page, each line once per section."""
    found: list[Command] = []
    for part in re.split(r"^## ", f"## \n{page}", flags=re.MULTILINE)[1:]:
        section, _, text = part.partition("\n")
        found += [Command(section, line) for line in _lines(text)]
    return list(dict.fromkeys(found))


def programs(page: str, section: str) -> list[str]:
    """The Python code blocks in a section."""
    text = re.split(rf"^## {re.escape(section)}\n", page, flags=re.MULTILINE)[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _lines(text: str) -> Iterator[str]:
    for mark in re.finditer(rf"{SHELL}|{OTHERS}|{INLINE}", text, re.MULTILINE | re.DOTALL):
        if mark["shell"]:
            yield from filter(None, map(_bare, mark["shell"].splitlines()))
        elif mark["inline"] and mark["inline"].startswith(PROGRAMS) and len(mark["inline"].split()) > 1:
            yield " ".join(mark["inline"].split())


def _bare(line: str) -> str:
    """The line without its comment, which follows a # or a gap."""
    return re.split(r" {2,}(?:#|(?=\w+ \w+ \w+))|\s#\s", line)[0].strip()
