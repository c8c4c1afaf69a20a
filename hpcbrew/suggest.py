"""What was perhaps meant by a word that is not known."""

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `word`; None where none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a message alone

    return next(iter(get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence for a message, with a blank before it; nothing where no known word is like `word`."""
    near = closest(word, known)
    return f" Did you mean {near!r}?" if near else ""
