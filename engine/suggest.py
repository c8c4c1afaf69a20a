"""What was perhaps meant: the names there are that a misspelt one resembles."""

from collections.abc import Callable, Iterable
from pathlib import Path


def closest(
    word: str, known: Iterable[str], n: int = 1, *, cutoff: float = 0.6, ignore_case: bool = False
) -> list[str]:
    """At most `n` of the names `known` that begin as `word` does or resemble it, the nearest first.

    `cutoff`: how much they must have in common, from 0, nothing, to 1, everything (difflib's ratio).
    """
    from difflib import get_close_matches  # noqa: PLC0415  for a message alone

    word = word.lower() if ignore_case else word
    written = {name.lower() if ignore_case else name: name for name in known}
    near = get_close_matches(word, list(written), n, cutoff)
    longer = sorted((name for name in written if len(word) > 2 and name.startswith(word)), key=len)
    return [written[name] for name in dict.fromkeys([*longer[:1], *near])][:n]


def did_you_mean(
    word: str, known: Iterable[str], quote: Callable[[str], str] = '"{}"'.format, *, ignore_case: bool = False
) -> str:
    """` Did you mean "NAME"?`, to stand behind a sentence; nothing where no name of `known` is near."""
    near = closest(word, known, ignore_case=ignore_case)
    return f" Did you mean {quote(near[0])}?" if near else ""


def beside(file: Path, pattern: str) -> str:
    """` In FOLDER: a, b.`, of the files like `pattern` in the folder where `file` is not: the nearest, or the first."""
    if not file.parent.is_dir():
        return f" Nor is there a folder {file.parent}."
    there = sorted(path.name for path in file.parent.glob(pattern))
    near = closest(file.name, there, 3, cutoff=0.5) or there[:3]
    folder = "the current folder" if file.parent == Path() else str(file.parent)
    return f" In {folder}: {', '.join(near)}." if near else ""
