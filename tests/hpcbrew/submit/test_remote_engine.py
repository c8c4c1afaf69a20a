import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew import engine_facts, layout
from hpcbrew.errors import RequestError
from hpcbrew.submit import remote_engine
from hpcbrew.transports.base import Transport
from tests.hpcbrew.submit.test_remote_data import PLAN

INSTALLED = replace(PLAN, installed_engine=True)


def told(scratch: Path, transport: Transport) -> list[str]:
    words: list[str] = []
    remote_engine.check(INSTALLED, PurePosixPath(scratch), transport, words.append)
    return words


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    (tmp_path / "engine" / "bin").mkdir(parents=True)
    (tmp_path / "engine" / "bin" / "caffe").touch(0o755)
    return tmp_path / "engine"


def test_a_cluster_without_an_engine_is_refused(transport: Transport, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"no engine on far .{tmp_path}/engine/bin/caffe.: hpcbrew setup far"):
        told(tmp_path, transport)


def test_a_job_that_brings_its_own_engine_asks_for_none(transport: Transport, tmp_path: Path) -> None:
    remote_engine.check(PLAN, PurePosixPath(tmp_path), transport, pytest.fail)


@pytest.mark.parametrize(("code", "warnings"), [("own", 0), ("another", 1)])
def test_an_engine_of_other_code_is_told(transport: Transport, engine: Path, code: str, warnings: int) -> None:
    facts = engine_facts.of("hpcbrew.whl", "0", "engine")
    facts["code"] = facts["code"] if code == "own" else code
    (engine / layout.ENGINE_FACTS).write_text(json.dumps(facts))
    words = told(engine.parent, transport)
    assert ["hpcbrew setup far updates it" in said for said in words] == [True] * warnings


def test_an_engine_that_setup_did_not_make_is_taken_as_it_is(transport: Transport, engine: Path) -> None:
    assert told(engine.parent, transport) == []


def test_a_job_for_gpus_wants_an_engine_for_gpus(transport: Transport, engine: Path) -> None:
    (engine / layout.ENGINE_FACTS).write_text(json.dumps(engine_facts.of("hpcbrew.whl", "0", engine_facts.CPUS)))
    plan = replace(INSTALLED, resources=replace(PLAN.resources, gpus=1))
    with pytest.raises(RequestError, match="the one for CPUs: hpcbrew setup far --gpu"):
        remote_engine.check(plan, PurePosixPath(engine.parent), transport, pytest.fail)
    (engine / "lib" / "python3.12" / "site-packages" / "jax_plugins").mkdir(parents=True)  # put there by hand
    remote_engine.check(plan, PurePosixPath(engine.parent), transport, pytest.fail)
