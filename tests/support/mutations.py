"""Damaged and malicious files for hypothesis: mutations of good ones."""

import re
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

PIECES = (
    *(bytes([b]) for b in b"\x00\xff\x80\n{}[]<>()\"'\\:;,#-+./%\x1b\x7f\t "),
    b"nan", b"inf", b"-inf", b"1e999", b"1e38", b"-1", b"0", b"-0", b"010", b"0x10", b"1.5f", b"2147483648",
    b"4294967295", b"9223372036854775807", b"18446744073709551616", b"1" * 400, b"true", b"null", b"\xc3\x28",
    b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x1b[31m", b"../../x", b"/dev/zero", b"a\x00b", b"x" * 300,
    b"[" * 50, b"{" * 50,
)  # fmt: skip
"""Insertions that are likely to trip readers up."""

_NUMBERS = [0, 1, 127, 128, 255, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]
_SIZES = st.sampled_from([1, 2, 4, 8, 16, 64, 256])
_NUMBER = re.compile(rb"\d+")


@st.composite
def mutated(draw: st.DrawFn, seeds: Mapping[str, bytes], pieces: Sequence[bytes] = PIECES) -> tuple[str, bytes]:
    """The name of one of the good files in `seeds`, and its contents after a few changes."""
    name = draw(st.sampled_from(sorted(seeds)))
    data = bytearray(seeds[name])
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 5, 10]))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 8)):
            case 0:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1 if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 2:
                data[at:at] = draw(st.sampled_from(pieces))
            case 3:
                del data[at : at + draw(_SIZES)]
            case 4:
                data[at:at] = data[at : at + draw(_SIZES)]
            case 5:
                del data[at:]
            case 6:
                size = draw(st.sampled_from([1, 2, 4, 8]))
                number = draw(st.sampled_from(_NUMBERS)) % 2 ** (8 * size)
                data[at : at + size] = number.to_bytes(size, draw(st.sampled_from(["little", "big"])))
            case 7:
                data[at : at + draw(_SIZES)] = draw(st.sampled_from(pieces))
            case 8:
                near = list(_NUMBER.finditer(bytes(data), max(0, at - 200), at + 200))
                if near:
                    found = draw(st.sampled_from(near))
                    data[found.start() : found.end()] = draw(st.sampled_from(pieces))
    return name, bytes(data)
