"""What was perhaps meant: the names there are that a misspelt one resembles."""

from collections.abc import Callable, Iterable


def closest(
    word: str, known: Iterable[str], n: int = 1, *, cutoff: float = 0.6, ignore_case: bool = False
) -> list[str]:
    """At most `n` of the names `known` that resemble `word`, the nearest first.

    `cutoff`: how much they must have in common, from 0, nothing, to 1, everything (difflib's ratio).
    """
    from difflib import get_close_matches  # noqa: PLC0415  for a message alone

    if not ignore_case:
        return get_close_matches(word, list(known), n, cutoff)
    folded = {name.lower(): name for name in known}
    return [folded[name] for name in get_close_matches(word.lower(), list(folded), n, cutoff)]


def did_you_mean(
    word: str, known: Iterable[str], quote: Callable[[str], str] = '"{}"'.format, *, ignore_case: bool = False
) -> str:
    """` Did you mean "NAME"?`, to stand behind a sentence; nothing where no name of `known` is near."""
    near = closest(word, known, ignore_case=ignore_case)
    return f" Did you mean {quote(near[0])}?" if near else ""
