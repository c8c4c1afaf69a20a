"""Fuzzing of all that reads records: a value that keeps to the schema, or a printable reason, and soon."""

import json
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import spoilt_records
from support.hostile_text import raw

from engine import schema
from engine.printable import printable
from engine.schema import Malformed
from hpcbrew import engine_facts
from hpcbrew.address import Address
from hpcbrew.clusters import profiles, user_settings
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import HpcbrewError, LedgerError, ProfileError
from hpcbrew.job import NAME, WORD, JobRecord, JobState, JobStatus
from hpcbrew.localqueue import directives, store
from hpcbrew.setup import find_python, scratch, wheelhouse
from hpcbrew.track import adopt, job_description, run_folder, unused_data
from hpcbrew.track.ledger import COLUMNS, Ledger
from hpcbrew.transfer import disk_space, download
from hpcbrew.transports import ssh_config
from hpcbrew.transports.local import Local

pytestmark = pytest.mark.slow

AFTER = {"id": "1.pbs", "name": "n", "folder": "/r"}
RESOURCES = {"nodes": 1, "gpus": 0, "cpus": 1, "mem": 5, "walltime": 60, "queue": "q", "project": "p",
             "select": {"x": "1"}}  # fmt: skip
JOB = {"name": "n", "token": "0123abcd", "solver": "/s", "max_iter": 4, "set": {"base_lr": "1"}, "resources": RESOURCES,
       "links": 1, "engine": "own", "after": AFTER, "definitions": ["solver.prototxt", "points/1/net.prototxt"],
       "points": [{"base_lr": "1"}]}  # fmt: skip
EXIT = {"status": 3, "time": 1, "host": "node1", "reason": "because"}
OUTPUTS = {"loss": 0.5, "prob": [0.5, None]}
PROGRESS = {"iteration": 1, "max_iter": 4, "loss": 0.5, "lr": 0.1, "images_per_second": 5, "seconds_left": 9.5,
            "time": 5, "outputs": OUTPUTS}  # fmt: skip
METRICS = {"phase": "test", "net": 0, "iteration": 1, "loss": 0.5, "outputs": OUTPUTS}
ADDRESS = {"cluster": "c", "transport": "ssh", "scheduler": "pbs", "host": "h", "torque": False, "slots": 1}


def minute(examples: int) -> Callable[[Any], Any]:
    """So many examples take about a minute."""
    return settings(max_examples=examples, deadline=20_000, suppress_health_check=list(HealthCheck), database=None)


def is_name(text: str) -> bool:
    """Whether a file could be called so, or a path be written so."""
    return "\0" not in text and all(not "\ud800" <= c < "\udc80" and not "\udcff" < c <= "\udfff" for c in text)


def reads(read: Callable[[bytes], Any], data: bytes) -> Any:
    """What is read, or None where there is a reason not to."""
    try:
        return read(data)
    except Malformed as error:
        sound(str(error))
        return None


def sound(reason: str) -> None:
    assert raw(reason) == []
    assert "\n" not in reason
    assert len(reason) < 1000


def shown(error: HpcbrewError) -> None:
    assert raw(printable(str(error))) == []


@minute(15_000)
@given(spoilt_records.records(JOB))
def test_descriptions(data: bytes) -> None:
    described = reads(job_description.read_description, data)
    if described is None:
        return
    words = [*described.resources.get("select", {}).items(), (described.resources.get("queue") or "q", "p")]
    assert all(WORD.fullmatch(word) for pair in words for word in pair)
    assert isinstance(described.nodes, int)
    assert not described.name or NAME.fullmatch(described.name)
    for name in described.definitions:
        parts = PurePosixPath(name).parts
        assert ".." not in parts
        assert not name.startswith("/")
        assert parts[-1] not in ("job.pbs", "job.json")
    assert described.is_sequence in (True, False)
    for point in (None, 0, 1, 2):
        try:
            described.settings(point)
        except HpcbrewError:
            assert point is not None


@minute(7_000)
@given(spoilt_records.records(EXIT), spoilt_records.records(PROGRESS), st.binary(max_size=50))
def test_exits_and_progress(ended: bytes, going: bytes, ids: bytes) -> None:
    found = run_folder.read_records(ended, going, ids, ids)
    assert raw(found.fault) == []
    if found.exit:
        assert -(2**31) <= found.exit.status < 2**31
        assert type(found.exit.status) is int
        (found.exit.reason + found.exit.host).encode()
    if found.progress:
        assert type(found.progress.iteration) is int
        assert all(v is None or math.isfinite(v) for v in (found.progress.loss, found.progress.seconds_left))
        json.dumps(found.progress.__dict__, allow_nan=False)


@minute(5_000)
@given(st.lists(spoilt_records.records(METRICS), max_size=4).map(b"\n".join))
def test_metrics(data: bytes) -> None:
    for line in run_folder.read_metrics(data):
        assert line["phase"] in ("train", "test")
        assert type(line["iteration"]) is int
        if line["phase"] == "test":
            assert isinstance(line["outputs"], dict)


@minute(20_000)
@given(st.binary(max_size=200), st.lists(st.text(), max_size=5))
def test_ids_and_names_of_snapshots(data: bytes, names: list[str]) -> None:
    for job_id in reads(run_folder.read_ids, data) or ():
        assert job_id.isprintable()
    named = [f"{name}_iter_{n}.{kind}" for n, name in enumerate(names) for kind in ("solverstate", "caffemodel")]
    for found in (run_folder.newest_model(named), (run_folder.newest_state(dict.fromkeys(named, 1)) or [None])[0]):
        assert found is None or (printable(found, one_line=True) == found and "/" not in found)


@minute(20_000)
@given(spoilt_records.TEXT)
def test_printable(text: str) -> None:
    assert raw(printable(text)) == []
    assert len(printable(text, one_line=True).splitlines()) <= 1
    schema.words(text).encode()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    for token in "ab":
        status = JobStatus(JobState.QUEUED)
        ledger.intend(JobRecord(token, "n", Address("c", "local", "pbs"), "s", 1.0, PurePosixPath("/r"), status))
    return ledger


CELLS = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=20),
    spoilt_records.TEXT.map(lambda text: text.encode(errors="surrogatepass")), spoilt_records.records(ADDRESS),
)  # fmt: skip


@minute(2_000)
@given(st.sampled_from(COLUMNS.split(", ")[1:]), CELLS, st.booleans())
def test_rows_of_the_ledger(ledger: Ledger, column: str, value: Any, as_text: bool) -> None:
    kept = "CAST(? AS TEXT)" if as_text else "?"
    with closing(sqlite3.connect(ledger.path)) as db:
        db.execute("BEGIN")
        before = db.execute(f"SELECT {column} FROM jobs WHERE token = 'a'").fetchone()
        try:
            db.execute(f"UPDATE jobs SET {column} = {kept} WHERE token = 'a'", (value,))
        except sqlite3.IntegrityError:  # a column that must hold something
            return
        db.commit()
    seen = Ledger(ledger.path)
    records = {record.token: record for record in seen.all()}
    assert "b" in records
    assert ("a" in records) != ("a" in seen.faults)
    for why in seen.faults.values():
        assert raw(why) == []
    if "a" in records:
        json.dumps(records["a"].as_json())
        assert NAME.fullmatch(records["a"].name)
        assert not (records["a"].address.host or "h").startswith("-")
    with closing(sqlite3.connect(ledger.path)) as db, db:
        db.execute(f"UPDATE jobs SET {column} = ? WHERE token = 'a'", before)


@minute(5_000)
@given(spoilt_records.TEXT)
def test_jobs_that_are_asked_for(ledger: Ledger, job: str) -> None:
    try:
        ledger.find(job)
    except LedgerError as error:
        shown(error)


@minute(5_000)
@given(st.one_of(spoilt_records.damaged(b"cluster: [iitd, {a: &x 1, b: *x}]\n# no\n"), st.binary(max_size=40)))
def test_settings(data: bytes) -> None:
    user_settings.path().parent.mkdir(parents=True, exist_ok=True)
    user_settings.path().write_bytes(data)
    try:
        assert all(isinstance(value, str) for value in user_settings.read().values())
    except ProfileError as error:
        shown(error)


PROFILE = b"""extends: openpbs
host: h
scratch: ~/s
queue: q
queues: {q: {walltime: 24h}}
environment: {A: b}
proxy: http://h
"""
SCRIPT = b"""#!/bin/bash
#PBS -N n
#PBS -l select=1:ncpus=2
#PBS -l walltime=1:00:00
#PBS -J 1-3
#PBS -W depend=afterok:1
true
"""


@minute(1_500)
@given(spoilt_records.damaged(PROFILE))
def test_profiles(data: bytes) -> None:
    folder = user_settings.path().parent / "clusters"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fuzzed.yaml").write_bytes(data)
    try:
        profiles.load("fuzzed")
    except ProfileError as error:
        shown(error)


@minute(10_000)
@given(spoilt_records.damaged(SCRIPT))
def test_directives(data: bytes) -> None:
    try:
        options = directives.parse(data.decode())
    except (directives.BadDirective, UnicodeDecodeError):
        return
    store._ROW_OBJECTS["options"](json.loads(json.dumps(options)))


@minute(2_000)
@given(st.dictionaries(spoilt_records.TEXT.filter(is_name), st.integers(0, 9), max_size=4), spoilt_records.TEXT)
def test_what_a_server_lists(sizes: dict[str, int], said: str) -> None:
    class Server(Local):
        def sizes(self, folder: PurePosixPath) -> dict[PurePosixPath, int]:
            return {PurePosixPath(name): size for name, size in sizes.items()}

        def run(self, command: Any, folder: PurePosixPath, **how: Any) -> CommandResult:
            return CommandResult(0, said)

        def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
            return b"x"

    status = JobStatus(JobState.DONE)
    record = JobRecord("t", "n", Address("c", "local", "pbs"), "s", 0.0, PurePosixPath("/r"), status)
    into = user_settings.path().parent / "into"
    before = {path for path in into.parent.rglob("*") if not path.is_relative_to(into)}
    for _ in range(2):
        try:
            download.fetch(record, download.wanted(record, Server()), Server(), into, lambda size: None)
        except HpcbrewError as error:
            shown(error)
    assert {path for path in into.parent.rglob("*") if not path.is_relative_to(into)} == before
    assert not Path("/pwned").exists()


@minute(5_000)
@given(st.lists(st.one_of(spoilt_records.TEXT, st.just("1.5\t/runs/a"))).map("\0".join))
def test_what_a_server_finds(said: str) -> None:
    class Server(Local):
        def run(self, command: Any, folder: PurePosixPath, **how: Any) -> CommandResult:
            return CommandResult(0, said)

    for folder in adopt._submitted(Server(), PurePosixPath("/runs")):
        assert folder.parent == PurePosixPath("/runs")


PROBES: dict[str, tuple[Callable[[str], Any], bytes]] = {
    "Pythons": (find_python.parse, b"@python\t3.11\t/usr/bin/python3.11\t-\tpip\n@python\t3.12\t/x\tpython/3.12\t-\n"),
    "scratch": (scratch.parse, b"@home\t/home/u\n@link\tthere\t/scratch/u\n@folder\t/scratch/u\n"),
    "room": (
        lambda said: [disk_space.judge(10, "/s", room, 5) for room in disk_space.parse(said).values()],
        b"@df\t/s\t/dev/sda1 100 50 50 50% /\n@quota\t/s\t/dev/sda1 100* 200 300 0 0\n",
    ),
    "pip": (
        lambda said: wheelhouse.parse(CommandResult(0, said)),
        b'@target\t{"environment": {"python_full_version": "3.11.4", "platform_release": "5"}, "platforms": ["a_b"]}\n',
    ),
    "ssh -G": (
        lambda said: ssh_config.parse("h", CommandResult(0, said)),
        b"hostname h\nport 22\nidentityfile ~/.ssh/id\nconnecttimeout none\nuserknownhostsfile ~/.ssh/a ~/b\n",
    ),
    "engine.json": (lambda said: engine_facts.read(said.encode()), b'{"wheel": "w", "extra": "cuda12", "code": "0"}'),
    "du": (lambda said: unused_data.parse_sizes(CommandResult(0, said), ["a"]), b"123\ta\n"),
}


@minute(10_000)
@pytest.mark.parametrize("probe", PROBES)
@given(data=st.data())
def test_what_probes_answer(probe: str, data: st.DataObject) -> None:
    read, sound_answer = PROBES[probe]
    try:
        read(data.draw(spoilt_records.damaged(sound_answer)).decode(errors="replace"))
    except HpcbrewError as error:
        shown(error)
