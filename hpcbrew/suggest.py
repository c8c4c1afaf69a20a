"""What was perhaps meant by a word that is not known."""

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence for a message, with a blank before it; nothing where no known word is like `word`."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a message alone

    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
