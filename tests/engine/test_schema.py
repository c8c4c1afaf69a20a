import re

import pytest

from engine import schema
from engine.schema import Malformed

TAKEN = [
    (schema.whole(0, 5), 5),
    (schema.number, -1.5),
    (schema.seconds, 1e15),
    (schema.flag, False),
    (schema.text(re.compile("a+"), "some a"), "aaa"),
    (schema.text(), "caf\udce9"),  # a file's name that is no UTF-8
    (schema.one_of("own", "module"), "own"),
    (schema.none_or(schema.whole()), None),
    (schema.table(schema.text(), schema.number), {"a": 1}),
]
REFUSED = [
    (schema.whole(0, 5), 6, "6 is not a whole number of 0 or more, 5 at most"),
    (schema.whole(), True, "True is not a whole number"),
    (schema.whole(), 2**53 + 1, "9007199254740993 is not a whole number"),
    (schema.number, float("nan"), "nan is not a finite number"),
    (schema.number, 10**400, "is not a finite number"),
    (schema.number, False, "False is not a finite number"),
    (schema.seconds, -1e16, "-1e+16 is not a number of seconds"),
    (schema.flag, 1, "1 is not true or false"),
    (schema.text(re.compile("a+"), "some a"), "\x1b[2J", r"'\x1b[2J' is not some a"),
    (schema.text(most=3), "aaaa", "'aaaa' is not text of at most 3 characters"),
    (schema.text(), "a\0", r"'a\x00' is not text"),
    (schema.text(), "a\ud800", r"'a\ud800' is not text that can be written as UTF-8"),
    (schema.words, 5, "5 is not text"),
    (schema.one_of("own", "module"), ["own"], "['own'] is not one of: own, module"),
    (schema.listing(schema.whole()), [1, "x"], "item 2: 'x' is not a whole number"),
    (schema.listing(schema.whole(), 1), [1, 2], "[1, 2] is not a list of at most 1 items"),
    (schema.table(schema.text(), schema.number), {"\n": "x"}, r"the value of '\n': 'x' is not a finite number"),
]


@pytest.mark.parametrize(("check", "value"), TAKEN, ids=[repr(value) for _, value in TAKEN])
def test_what_fits_is_taken_as_it_is(check: schema.Check, value: object) -> None:
    assert check(value) == value


@pytest.mark.parametrize(("check", "value", "why"), REFUSED, ids=[ascii(why) for *_, why in REFUSED])
def test_what_does_not_fit_is_named(check: schema.Check, value: object, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        check(value)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


def test_words_can_be_written_down_and_are_not_too_long() -> None:
    assert schema.words("\ud800\0é\n") == "\\ud800\\x00é\n"
    assert schema.words("x" * 2000) == "x" * 999 + "…"
    assert schema.words(schema.words("\ud800" * 2000)) == schema.words("\ud800" * 2000)


def test_a_field_that_is_missing_or_wrong_is_named() -> None:
    assert schema.field({"a": 1}, "a", schema.whole()) == 1
    assert schema.field({}, "a", schema.whole(), None) is None
    with pytest.raises(Malformed, match="a is missing"):
        schema.field({}, "a", schema.whole())
    with pytest.raises(Malformed, match="a: None is not a whole number"):
        schema.field({"a": None}, "a", schema.whole(), 5)


def test_an_object_of_a_size() -> None:
    assert schema.read_object(b'{"a": [1]}') == {"a": [1]}
    with pytest.raises(Malformed, match="holds 2 B, and such a record has no more than 1 B"):
        schema.read_object(b"{}", 1)


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [64, 200, 900, 100_000])
def test_an_object_nested_deeper_than_any_record_is_none(begin: str, end: str, depth: int) -> None:
    with pytest.raises(Malformed, match="is nested too deep"):
        schema.read_object(f'{{"a": {begin * depth}1{end * depth}}}'.encode())


def test_an_object_may_hold_many_lists_and_some_depth() -> None:
    inner = "[" * 63 + "]" * 63
    assert len(schema.read_object(f'{{"a": [{", ".join(["[]"] * 999)}], "b": {inner}}}'.encode())["a"]) == 999


def test_an_object_that_says_something_twice_is_none() -> None:
    with pytest.raises(Malformed, match="has 'status' twice"):
        schema.read_object(b'{"status": 3, "time": 1, "status": 0}')


def test_of_many_fields_the_one_that_is_there_twice_is_found_in_time() -> None:
    fields = ", ".join(f'"{n}": 1' for n in range(80_000))
    with pytest.raises(Malformed, match="has '79999' twice"):
        schema.read_object(f'{{{fields}, "79999": 1}}'.encode())
