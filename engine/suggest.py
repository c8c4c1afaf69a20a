"""Suggestions for messages: the known names that a misspelt one resembles."""

from collections.abc import Callable, Iterable
from pathlib import Path


def closest(
    word: str, known: Iterable[str], n: int = 1, *, cutoff: float = 0.6, ignore_case: bool = False
) -> list[str]:
    """At most `n` names of `known` that begin with `word` or resemble it, the nearest first.

    `cutoff`: how similar they must be, from 0 (nothing in common) to 1 (the same), as difflib's ratio.
    """
    from difflib import get_close_matches  # noqa: PLC0415  only needed for a message

    word = word.lower() if ignore_case else word
    spellings = {name.lower() if ignore_case else name: name for name in known}
    near = get_close_matches(word, list(spellings), n, cutoff)
    longer = sorted((name for name in spellings if len(word) > 2 and name.startswith(word)), key=len)
    return [spellings[name] for name in dict.fromkeys([*longer[:1], *near])][:n]


def did_you_mean(
    word: str, known: Iterable[str], quote: Callable[[str], str] = '"{}"'.format, *, ignore_case: bool = False
) -> str:
    """` Did you mean "NAME"?`, to be appended to a sentence; empty if no name of `known` is near."""
    near = closest(word, known, ignore_case=ignore_case)
    return f" Did you mean {quote(near[0])}?" if near else ""


def beside(file: Path, pattern: str) -> str:
    """` In FOLDER: a, b.`, to be appended to a sentence that `file` is missing.

    Names up to three files of its folder that match `pattern`: those with similar names, or else the first ones. Empty
    if there are none.
    """
    if not file.parent.is_dir():
        return f" Nor is there a folder {file.parent}."
    names = sorted(path.name for path in file.parent.glob(pattern))
    near = closest(file.name, names, 3, cutoff=0.5) or names[:3]
    folder = "the current folder" if file.parent == Path() else str(file.parent)
    return f" In {folder}: {', '.join(near)}." if near else ""
