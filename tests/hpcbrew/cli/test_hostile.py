"""Every field of every record says each of the hostile texts; what do the commands show?"""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from support.hostile_text import HOSTILE, raw

from hpcbrew import cli
from hpcbrew.address import Address
from hpcbrew.command_result import CommandResult
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track.ledger import Ledger
from hpcbrew.transports.local import Local

EXIT = {"status": 3, "time": 1, "host": "node1", "reason": "because"}
PROGRESS = {"iteration": 1, "max_iter": 4, "loss": 0.5, "lr": 0.1, "images_per_second": 5, "seconds_left": 9, "time": 5,
            "outputs": {"loss": 0.5}}  # fmt: skip
METRICS = {"phase": "test", "net": 0, "iteration": 1, "loss": 0.5, "outputs": {"accuracy": 0.5}}
RESOURCES = {
    "nodes": 1,
    "gpus": 0,
    "cpus": 1,
    "mem": None,
    "walltime": 60,
    "queue": None,
    "project": None,
    "select": {},
}
JOB = {"name": "n", "token": "0", "solver": "/s.prototxt", "max_iter": 4, "set": {"base_lr": "1"},
       "resources": RESOURCES, "links": 1, "engine": "own", "after": None,
       "definitions": ["solver.prototxt", "net.prototxt"]}  # fmt: skip
FILES = {
    "exit.json": EXIT, "progress.json": PROGRESS, "metrics.jsonl": METRICS, "job.json": JOB, "job.id": "7.pbs01",
    "links.id": "8.pbs01", "train.log": "I1126 caffe: error: no", "solver.prototxt": "net: 'net.prototxt' max_iter: 4",
    "net.prototxt": "name: 'n'", "snapshots/n_iter_2.solverstate": "x", "snapshots/n_iter_2.caffemodel": "x",
}  # fmt: skip


def fields() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each file, and where in it a value stands: its keys too are ways to say something."""
    for name, values in FILES.items():
        yield name, ()
        for key in values if isinstance(values, dict) else ():
            yield name, (key,)
    yield from (("job.json", ("resources", key)) for key in RESOURCES)
    yield from (("job.json", ("after", key)) for key in ("id", "name", "folder"))
    yield "job.json", ("resources", "select", "*")
    yield "job.json", ("resources", "select", "x")
    yield from (
        ("job.json", way) for way in (("set", "*"), ("set", "base_lr"), ("definitions", "0"), ("definitions", "1"))
    )
    yield from ((name, ("outputs", key)) for name in ("progress.json", "metrics.jsonl") for key in ("*", "loss"))
    yield "job.json", ("points", "0", "*")
    yield "job.json", ("points", "0", "base_lr")


def spoilt(values: Any, way: tuple[str, ...], text: str) -> Any:
    """The values with a text at the end of this way; `*`: as a key."""
    if not way:
        return text
    key, *rest = way
    if key.isdecimal():
        listed = list(values) if values else [{}]
        listed[int(key)] = spoilt(listed[int(key)], tuple(rest), text)
        return listed
    inner = values or {}
    key = text if key == "*" else key
    return {**inner, key: spoilt(inner.get(key), tuple(rest), text) if rest or key != text else "1"}


def written(values: Any) -> bytes:
    return values.encode(errors="surrogatepass") if isinstance(values, str) else f"{json.dumps(values)}\n".encode()


@pytest.fixture
def hostile(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[JobRecord]]:
    """Jobs of a cluster that is this machine, one for each hostile text, which one field of one of its files says."""
    clusters = home / "config" / "hpcbrew" / "clusters"
    clusters.mkdir(parents=True)
    (clusters / "there.yaml").write_text(
        f"extends: openpbs\ntransport: local\nhost: null\nscratch: {tmp_path}/scratch\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Local, "run", _answer)

    def make(file: str, way: tuple[str, ...], texts: tuple[str, ...] = HOSTILE) -> list[JobRecord]:
        records = []
        for n, text in enumerate(texts):
            folder = tmp_path / "scratch" / "runs" / f"n-{n:08x}"
            (folder / "snapshots").mkdir(parents=True)
            for name, values in FILES.items():
                sound = {**values, "token": f"{n:08x}"} if isinstance(values, dict) and name == "job.json" else values
                said = spoilt(sound, way, text) if name == file else sound
                (folder / name).write_bytes(written(said))
            status, address = JobStatus(JobState.RUNNING), Address("there", "local", "pbs")
            now, path = time.time(), PurePosixPath(folder)
            records.append(JobRecord(f"{n:08x}", f"n{n}", address, "/s", now, path, status, f"{n}.pbs01"))
        return records

    return make


SAYS = {"attributes": ""}
"""What PBS says of each job."""
ENDED, RUNS = "    job_state = F\n    Exit_status = 3\n", "    job_state = R\n"


def _answer(self: Local, command: Any, folder: Any, **how: Any) -> CommandResult:
    """The machine's own answers, but for PBS's."""
    if command[0] != "qstat":
        return RUN(self, command, folder, **how)
    return CommandResult(0, "".join(f"Job Id: {job}\n{SAYS['attributes']}" for job in command if job[:1].isdigit()))


RUN = Local.run


@pytest.fixture
def shows(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., str]:
    """Runs a command; what it shows holds nothing that a terminal would obey, and it ends as it should."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["hpcbrew", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = b"".join(capfdbinary.readouterr())
        assert ended.value.code in (0, 1, 2, 3), shown
        assert raw(shown) == [], (arguments, shown[-500:])
        assert b"Traceback" not in shown
        if arguments[0] != "logs":  # a log has whatever lines it has
            assert not [line for line in shown.splitlines() if line.startswith(b"hpcbrew: error: a line of another's")]
        assert not [p for p in (*tmp_path.rglob("*pwned*"), Path("/pwned")) if p.exists()]
        return shown.decode()

    return run


def listed(records: list[JobRecord]) -> None:
    ledger = Ledger()
    with ledger.together():
        for record in records:
            ledger.intend(record)


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("file", "way"), list(fields()), ids=str)
def test_what_a_run_folder_says(
    hostile, shows, monkeypatch: pytest.MonkeyPatch, file: str, way: tuple[str, ...], every: int
) -> None:
    """The commands on one job are tried with every so-many-th text, those on all jobs with each."""
    records = hostile(file, way)
    monkeypatch.setitem(SAYS, "attributes", RUNS if file == "progress.json" else ENDED)
    for record in records if file == "progress.json" else ():
        Path(record.run_folder / "exit.json").unlink()
    listed(records)
    status = shows("status")
    assert status.count("\n") >= len(records) + 1  # each is there
    assert len(json.loads(shows("status", "--json", "--all"))) == len(records)
    with monkeypatch.context() as terminal:  # elsewhere a log goes as it is
        terminal.setattr(sys.stdout, "isatty", lambda: True)
        for record in records[::every]:
            shows("logs", record.name)
    for record in records[::every]:
        for command in (("compare",), ("resume", "--dry-run", "--set", "max_iter=9"), ("logs", "--rank", "1")):
            shows(*command, record.name)
    shows("adopt", "--cluster", "there")


@pytest.mark.parametrize(
    ("file", "way"),
    [("job.json", ()), *(("job.json", (key,)) for key in ("name", "solver", "token")), ("job.id", ())],
    ids=str,
)
def test_jobs_that_are_taken_up(hostile, shows, file: str, way: tuple[str, ...]) -> None:
    hostile(file, way)
    shows("adopt", "--cluster", "there")
    shows("adopt", "--cluster", "there", "--json")
    shows("status", "--all")


@pytest.mark.parametrize("column", ["name", "address", "solver", "id", "run_folder", "state", "reason", "submitted"])
def test_what_the_ledger_says(hostile, shows, column: str) -> None:
    listed(records := hostile("exit.json", ("reason",)))
    with closing(sqlite3.connect(Ledger().path)) as db, db:
        for record, text in zip(records, HOSTILE, strict=True):
            said = text.encode(errors="surrogatepass") if raw(text)[:1] >= ["\ud800"] else text
            db.execute(f"UPDATE jobs SET {column} = ? WHERE token = ?", (said, record.token))
    for command in (("status",), ("status", "--json"), ("logs", "00000003"), ("compare", "00000000"),
                    ("cancel", "00000001"), ("resume", "00000005"), ("adopt", "--cluster", "there")):  # fmt: skip
        shows(*command)


@pytest.mark.parametrize("text", HOSTILE[:-6], ids=ascii)
def test_what_pbs_says(hostile, shows, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (record,) = hostile("exit.json", ("reason",), ("x",))
    Path(record.run_folder / "exit.json").unlink()
    listed([record])
    said = text.encode(errors="replace").decode().replace("\n", "\n\t")
    monkeypatch.setitem(SAYS, "attributes", f"    job_state = Q\n    comment = Not Running: {said}\n")
    for command in (("status",), ("status", "--json"), ("cancel", "n0"), ("hold", "n0")):
        shows(*command)


@pytest.mark.parametrize("text", [text for text in HOSTILE[:-6] if "\0" not in text], ids=ascii)
def test_what_a_user_hands_over(hostile, shows, text: str) -> None:
    """What is copied from elsewhere: it comes back in messages. No argument holds a NUL."""
    word = os.fsencode(text).decode(errors="surrogateescape") if text != "\ud800" else "\udcff"
    for command in (("status", word), ("logs", word), (word,), ("fetch", word), ("submit", word), ("cancel", word),
                    ("submit", "s", f"--{word}"), ("config", "set", "cluster", word), ("cluster", "show", word),
                    ("cluster", "add", word, "--host", "h", "-y"), ("submit", "s", "--cluster", word)):  # fmt: skip
        shows(*command)
