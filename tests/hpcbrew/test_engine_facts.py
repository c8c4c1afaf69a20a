import json

import pytest

from hpcbrew import engine_facts

OWN = engine_facts.of("hpcbrew-1-py3-none-any.whl", "0" * 64, "cuda12")


@pytest.mark.parametrize("data", [None, b"", b"{", b"[1]", b"7", b"\xff", b"[" * 5000, b'{"a":' * 5000])
def test_facts_that_cannot_be_read_are_none(data: bytes | None) -> None:
    assert engine_facts.read(data) is None


def test_an_engine_of_this_code_is_no_other() -> None:
    assert not engine_facts.is_another(engine_facts.read(json.dumps(OWN).encode()))


@pytest.mark.parametrize("code", [{"code": "0"}, {"code": 1}, {}])
def test_an_engine_of_other_code_or_from_before_it_was_noted_is_another(code: dict[str, object]) -> None:
    others = {name: value for name, value in OWN.items() if name != "code"}
    assert engine_facts.is_another(engine_facts.read(json.dumps({**others, **code}).encode()))


def test_of_an_engine_that_setup_did_not_make_nothing_is_known() -> None:
    assert not engine_facts.is_another(None)
