"""Splits protobuf's text format into tokens with their lines, which error messages and rewriting need."""

import re
from collections.abc import Iterator
from typing import NamedTuple

OPENERS = {"{": "}", "<": ">"}

_TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | \#[^\n]* )
  | (?P<number> [-+]? (?: \.?\d (?: [\w.] | (?<=[eE])[-+] )* | inf(?:inity)?\b | nan\b ) )
  | (?P<word> [A-Za-z_]\w* )
  | (?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
  | (?P<quote> ["'] [^\n]* )
  | (?P<mark> [{}<>\[\]:,;] )
  | (?P<other> [^\s] )
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Token(NamedTuple):
    """kind: word, number, string, quote (an unclosed string), mark or other; start: offset in the text."""

    kind: str
    text: str
    start: int
    line: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class Field(NamedTuple):
    """One field of a block. values: the tokens of a scalar or of a [list]; empty for a nested block. end: the offset in
    the text at which the field ends."""

    name: Token
    values: list[Token]
    end: int
    block: tuple[int, int] | None
    """Indices of the first token inside the nested block and of the one that closes it."""


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`, without spaces and comments."""
    tokens = []
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        piece = match[0]
        if kind != "skip":
            tokens.append(Token(kind, piece, match.start(), line))
        line += piece.count("\n")
    return tokens


def fields(tokens: list[Token], start: int = 0, stop: int | None = None) -> Iterator[Field]:
    """The fields directly between the tokens `start` and `stop`, not those of nested blocks; the rest is skipped."""
    at, stop = start, len(tokens) if stop is None else stop
    while at < stop:
        name = tokens[at]
        at += 1
        if name.kind != "word":
            continue
        if at < stop and tokens[at].text == ":":
            at += 1
        if at >= stop:
            return
        if tokens[at].text in OPENERS:
            close = closing(tokens, at, stop)
            yield Field(name, [], tokens[min(close, len(tokens) - 1)].end, (at + 1, close))
            at = close + 1
        elif tokens[at].text == "[":
            last = next((i for i in range(at, stop) if tokens[i].text == "]"), stop - 1)
            values = [token for token in tokens[at + 1 : last] if token.text != ","]
            yield Field(name, values, tokens[last].end, None)
            at = last + 1
        elif tokens[at].kind != "mark":
            last = at
            while tokens[at].kind == "string" and last + 1 < stop and tokens[last + 1].kind == "string":
                last += 1
            yield Field(name, tokens[at : last + 1], tokens[last].end, None)
            at = last + 1


def closing(tokens: list[Token], opener: int, stop: int) -> int:
    """The index of the token that closes the block opened at `opener`; `stop` if none does."""
    depth = 0
    for at in range(opener, stop):
        if tokens[at].text in ("{", "<"):
            depth += 1
        elif tokens[at].text in ("}", ">"):
            depth -= 1
            if depth == 0:
                return at
    return stop
