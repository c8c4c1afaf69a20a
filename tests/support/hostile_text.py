"""Text that a hostile cluster or file might contain, and the characters of it that must never reach a terminal."""

import re

HOSTILE = (
    "\x1b]0;PWNED\x07",  # sets the window's title
    "\x1b[31mred\x1b[0m",
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1bP$q\x1b\\",  # a query that the terminal would answer, as if typed
    "\x1b[6n",
    "\x1b[8m hidden",
    "\x1b]52;c;Y3VybA==\x07",  # writes to the clipboard
    "\x9b31m",  # an escape sequence begun by a single byte
    "\x9d0;title\x9c",
    "\x90+q\x9c",
    "\x08\x08\x08rubbed out",
    "\x7f\x7f",
    "first\rsecond",
    "first\r\nsecond",
    "first\nhpcbrew: error: a line of another's making",
    "column\tcolumn",
    "\x0b\x0c\x1c\x1d\x1e\x85",  # line separators only for Python
    "\u2028line\u2029paragraph",
    "\u202etxt.exe",  # reverses the writing direction
    "\u2066\u2067\u2069",
    "\u200e\u200f\u061c",
    "\u200b\u200c\u200d\ufeff",  # zero width
    "\U000e0041\U000e0042",  # tags
    "\x00",
    "a\x00b",
    "\ud800",  # half a surrogate pair
    "\udcff",  # a byte that was not UTF-8
    "'; touch pwned; '",
    "$(touch pwned)`touch pwned`",
    "../../../../pwned",
    "/pwned",
    "x" * 100_000,
    "%s%n{}{0.__class__}[red]",
)
"""Control characters, escape sequences, zero-width characters, line breaks, lone surrogates, commands, paths, and a
very long text."""

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Characters that must not reach a terminal."""


def raw(shown: str | bytes) -> list[str]:
    """The characters of an output that must not reach a terminal, each once, including bytes that are not UTF-8."""
    text = shown.decode("utf-8", errors="surrogateescape") if isinstance(shown, bytes) else shown
    return sorted(set(RAW.findall(text)))
