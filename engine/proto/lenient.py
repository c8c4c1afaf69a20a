"""Respells what protobuf's C++ parser accepts, and so Caffe's users write, but its Python parser does not.

value: - 5                a blank after the sign
source: "caf\\351.txt"     a string that is not UTF-8
source: "what\\?.txt"      a question mark that is escaped, as in C; the Python parser keeps the backslash
"""

import re

from google.protobuf import text_encoding

from engine.proto import raw_bytes, tokens


def respelt(text: str) -> str:
    """`text` with such spellings replaced by what the Python parser accepts, on the same lines."""
    out: list[str] = []
    end = 0
    all_tokens = tokens.tokenize(text)
    for token, following in zip(all_tokens, [*all_tokens[1:], None], strict=True):
        new = token.text
        if token.text == "-" and following and (following.kind == "number" or following.text.lower() in _SIGNED):
            new = ""
        elif token.kind == "string":
            new = _string(token.text)
        out += [text[end : token.start], new]
        if not new and following:
            out += [text[token.end : following.start], "-"]
            end = following.start
        else:
            end = token.end
    return "".join([*out, text[end:]])


_SIGNED = ("inf", "infinity", "nan")


QUESTION = r"\?"

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def _string(literal: str) -> str:
    """A quoted string. If its escapes yield bytes that are not UTF-8, these are kept as `raw_bytes` describes."""
    if "\\" not in literal:
        return literal
    literal = _ESCAPE.sub(lambda escape: "?" if escape[0] == QUESTION else escape[0], literal)
    try:
        data = text_encoding.CUnescape(literal[1:-1])
    except ValueError:
        return literal
    try:
        data.decode()
    except UnicodeDecodeError:
        return f'"{text_encoding.CEscape(raw_bytes.decoded(data).encode(), as_utf8=True)}"'
    return literal
