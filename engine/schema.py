"""Validates records from outside against a schema.

A check is a function that takes any value and returns it, converted where needed, or raises Malformed with the reason.
"""

import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeVar

from engine.printable import printable
from engine.units import short_size

LARGEST = 2**53
"""The largest whole number that every reader of JSON reads exactly."""

DEEPEST = 64
"""How deep a record may be nested: deeper than any array's axes, and far from what checks and json.dumps can follow."""

Value = TypeVar("Value")
Key = TypeVar("Key")
Check = Callable[[Any], Value]

_REQUIRED: Final = object()


class Malformed(ValueError):
    """A record that does not fit its schema. The message names the field and what was found there; it is printable."""


def read_object(data: bytes, most: int = 2**20) -> dict[str, Any]:
    """The object that a JSON file of at most `most` bytes holds. Raises Malformed."""
    if len(data) > most:
        raise Malformed(f"holds {short_size(len(data))}, and such a record has no more than {short_size(most)}")
    try:
        values = json.loads(data, parse_constant=_no_json, object_pairs_hook=_once)
    except RecursionError:
        raise Malformed("is nested too deep") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError as error:  # not UTF-8, or a number of thousands of digits
        raise Malformed(f"is not valid JSON: {printable(str(error), one_line=True)[:200]}") from None
    if data.count(b"[") + data.count(b"{") > DEEPEST and not _is_shallow(values):
        raise Malformed("is nested too deep")
    return mapping(values)


def _is_shallow(value: Any) -> bool:
    """Whether lists and objects are nested at most DEEPEST deep."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [each for values in inner for each in values]
    return not any(isinstance(each, dict | list) for each in level)


def _no_json(word: str) -> NoReturn:
    raise Malformed(f"is not valid JSON, which has no {word}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object, which may have each key once: a record that has one twice is damaged, or made by someone who counts
    on which of the two is read."""
    values = dict(pairs)
    if len(values) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise Malformed(f"has {printable(reprlib.repr(twice), one_line=True)} twice")
    return values


def field(values: Mapping[str, Any], key: str, check: Check[Value], default: Any = _REQUIRED) -> Value:
    """One field of an object. Raises Malformed, with the field's name, if it is missing and has no `default`."""
    if key not in values:
        if default is _REQUIRED:
            raise Malformed(f"{key} is missing")
        missing: Value = default
        return missing
    return _named(key, check, values[key])


def _named(name: str, check: Check[Value], value: Any) -> Value:
    try:
        return check(value)
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from None


def wrong(value: Any, wanted: str) -> Malformed:
    """The error that says what a value is and what it should be. The middle of a long value is left out."""
    return Malformed(f"{printable(reprlib.repr(value), one_line=True)} is not {wanted}")


def mapping(value: Any) -> dict[str, Any]:
    """An object with any contents."""
    if not isinstance(value, dict):
        raise wrong(value, "an object")
    return value


def whole(least: int = -LARGEST, most: int = LARGEST) -> Check[int]:
    """A whole number; true and false do not count as numbers."""
    wanted = "a whole number" if least == -LARGEST else f"a whole number of {least} or more"
    wanted += f", {most} at most" if most != LARGEST else ""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong(value, wanted)
        return value

    return check


def number(value: Any) -> float:
    """A finite number; true and false do not count as numbers."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return value
    except OverflowError:  # a whole number that no float can hold
        pass
    raise wrong(value, "a finite number")


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(value, "true or false")
    return value


def seconds(value: Any) -> float:
    """A time or a duration in seconds, small enough to be shown as one: up to some ten million years, either way."""
    if abs(number(value)) > 1e15:
        raise wrong(value, "a number of seconds")
    return number(value)


def text(pattern: re.Pattern[str] | None = None, wanted: str = "text", most: int = 4096) -> Check[str]:
    """Text of at most `most` characters, without NUL, that matches the whole `pattern`; `wanted`: that in words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or "\0" in value or len(value) > most:
            raise wrong(value, f"text of at most {most} characters")
        if not _is_writable(value):
            raise wrong(value, "text that can be written as UTF-8")
        if pattern is not None and not pattern.fullmatch(value):
            raise wrong(value, wanted)
        return value

    return check


def _is_writable(value: str) -> bool:
    """Whether the text can be a file's name, which may hold bytes that are not UTF-8; half a surrogate pair cannot."""
    try:
        value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def words(value: Any, most: int = 1000) -> str:
    """Text to be shown to people, cut to `most` characters, with everything escaped that cannot be written as UTF-8."""
    if not isinstance(value, str):
        raise wrong(value, "text")
    cut = value[: most + 1].replace("\0", "\\x00").encode(errors="backslashreplace").decode()
    return cut if len(cut) <= most else f"{cut[: most - 1]}…"


def one_of(*values: str) -> Check[str]:
    """One of these words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise wrong(value, f"one of: {', '.join(values)}")
        return value

    return check


def none_or(check: Check[Value]) -> Check[Value | None]:
    """What `check` takes, or null."""
    return lambda value: None if value is None else check(value)


def listing(check: Check[Value], most: int = 100_000) -> Check[tuple[Value, ...]]:
    """A list of at most `most` items, each of which passes `check`."""

    def checked(value: Any) -> tuple[Value, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise wrong(value, f"a list of at most {most} items")
        return tuple(_named(f"item {n}", check, one) for n, one in enumerate(value, 1))

    return checked


def table(key: Check[Key], check: Check[Value], most: int = 10_000) -> Check[dict[Key, Value]]:
    """An object of at most `most` fields, whose keys pass `key` and whose values pass `check`."""

    def checked(value: Any) -> dict[Key, Value]:
        if not isinstance(value, dict) or len(value) > most:
            raise wrong(value, f"an object of at most {most} fields")
        return {_named("a key", key, k): _named(f"the value of {reprlib.repr(k)}", check, v) for k, v in value.items()}

    return checked
