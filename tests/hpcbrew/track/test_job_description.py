import json
from typing import Any

import pytest
from support.descriptions import DESCRIPTION

from engine.schema import Malformed
from hpcbrew.job import After
from hpcbrew.track.job_description import JobDescription, read_description


def read(changed: dict[str, Any]) -> JobDescription:
    described = read_description(json.dumps({**DESCRIPTION, **changed}).encode())
    assert described is not None
    return described


@pytest.mark.parametrize(
    ("changed", "several"),
    [
        ({}, False),
        ({"links": 3}, True),
        ({"links": None}, True),
        ({"after": {"id": "1", "name": "n", "folder": None}}, False),
        ({"after": {"id": "1", "name": "n", "folder": "/r"}}, True),
    ],
)
def test_a_chain_and_what_waits_for_one_are_several_jobs(changed: dict, several: bool) -> None:
    described = read(changed)
    assert described.is_sequence is several
    assert described.after == (After(**changed["after"]) if changed.get("after") else None)


def test_a_long_name_is_not_told_at_length() -> None:
    with pytest.raises(Malformed) as caught:
        read({"definitions": ["/" + "[" * 3000]})
    assert len(str(caught.value)) < 200


def test_definitions_are_those_of_points_and_the_modules_of_python_layers_too() -> None:
    names = [
        "solver.prototxt",
        "points/12/net.prototxt",
        "noise.py",
        "noise/__init__.py",
        "points/1/noise/a/b.py",
        "é.x",
    ]
    assert read({"definitions": names}).definitions == tuple(names)


def test_flags_of_the_training_are_read_back() -> None:
    assert read({"flags": [["skip_bad_records", ""], ["keep", "2"]]}).flags == (("skip_bad_records", ""), ("keep", "2"))


@pytest.mark.parametrize("flag", [["solver", "x"], ["keep", "-1"], ["keep"], "keep", ["keep", 2], ["nan", "stop\n-x"]])
def test_what_is_no_flag_of_the_training_is_refused(flag: object) -> None:
    with pytest.raises(Malformed, match="flags: item 1"):
        read({"flags": [flag]})
