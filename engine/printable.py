"""Text from outside, made fit for a terminal."""


def printable(text: str) -> str:
    """`text` with what a terminal would obey or hide, control characters and the like, written as escapes: \\x1b.

    Line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
