import pytest

from hpcbrew.clusters import plain_yaml
from hpcbrew.clusters.plain_yaml import NotPlain

DOUBLED = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}\n" for n in range(1, 60))
MERGED = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))

FAULTS = {
    "syntax": ("a: 1\nb: [c\n", 3, "not YAML: expected ',' or ']'"),
    "nested": ("[" * 20_000, None, "is nested too deeply"),
    "a date that is none": ("a: 2026-13-45", None, "not YAML: month must be in 1..12"),
    "bytes": ("a: !!binary aGk=", 1, "not YAML: could not determine a constructor"),
    "a set": ("a: !!set {b}", 1, "not YAML: could not determine a constructor"),
    "references that double": (DOUBLED, 16, "stands for more than 100,000 values through its references"),
    "references that are merged": (MERGED, 16, "stands for more than 100,000 values through its references"),
    "a list within itself": ("a:\n- &a [*a]\n", 2, "holds a reference to what contains it"),
    "a mapping within itself": ("&a {b: {c: *a}}", 1, "holds a reference to what contains it"),
    "a number that cannot be printed": ("a: 1\nb: 0x" + "f" * 5000, 2, "holds a number of 5,002 characters"),
    "a long number of base 60": ("1:" * 30_000 + "1", 1, "holds a number of 60,001 characters"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_could_not_be_shown_is_refused_with_its_line(fault: str) -> None:
    text, line, said = FAULTS[fault]
    with pytest.raises(NotPlain) as error:
        plain_yaml.load(text)
    assert said in str(error.value)
    assert error.value.line == line


def test_references_may_be_used() -> None:
    assert plain_yaml.load("a: &a {b: 0x1f}\nc: *a\nd: {<<: *a, e: [*a]}\n") == {
        "a": {"b": 31},
        "c": {"b": 31},
        "d": {"b": 31, "e": [{"b": 31}]},
    }


def test_an_empty_text_holds_nothing() -> None:
    assert plain_yaml.load("# a comment\n") is None
