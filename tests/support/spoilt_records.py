"""Valid records with something broken in them, for fuzzing: a value of another type, a byte more or less."""

import json
import math
from typing import Any

from hypothesis import strategies as st

from support.hostile_text import HOSTILE

TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec=None, categories=None), max_size=20))

PUT_IN = [b"\0", b"\xff", b"[" * 3000, b"9" * 5000, b"\n", b'"', b"\x1b[2J", b"{"]

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, 1e308, -1e308, 5e-324, math.nan, math.inf]),
)

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn, sound: Any) -> Any:
    """The same with one value, at any depth, removed, renamed or replaced by another type."""
    if not isinstance(sound, dict | list) or not sound or draw(st.integers(0, 4)) == 0:
        return draw(VALUES)
    if isinstance(sound, list):
        n = draw(st.integers(0, len(sound) - 1))
        return [*sound[:n], draw(spoilt(sound[n])), *sound[n + 1 :]]
    key = draw(st.sampled_from(sorted(sound)))
    rest = {k: v for k, v in sound.items() if k != key}
    match draw(st.integers(0, 9)):
        case 0:
            return rest
        case 1:
            return {**rest, draw(TEXT): sound[key]}
        case _:
            return {**sound, key: draw(spoilt(sound[key]))}


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """The same with a few bytes changed, inserted, doubled or cut off."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                del data[at:]
            case 1:
                data[at : at + 1] = draw(st.binary(max_size=1))
            case 2:
                data[at:at] = draw(st.sampled_from(PUT_IN))
            case 3:
                data[at:at] = data[max(at - 20, 0) : at]
            case _:
                data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)


def records(sound: Any) -> st.SearchStrategy[bytes]:
    """JSON that is almost that of `sound`."""
    written = json.dumps(sound)
    return st.one_of(spoilt(sound).map(lambda values: json.dumps(values).encode()), damaged(written.encode()))
