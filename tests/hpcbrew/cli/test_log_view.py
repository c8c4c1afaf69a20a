import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from support.until import until

from hpcbrew.address import Address
from hpcbrew.cli import log_view
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.track import follow, lasting, refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site
from hpcbrew.transports.local import Local
from hpcbrew.transports.local_reader import LocalReader


class Dropping(Local):
    """Each look at a file breaks off once before it succeeds; the log grows by a line a look, and the job ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.broken, self.looks = folder, True, 0

    def _drop(self) -> None:
        self.broken = not self.broken
        if not self.broken:
            raise TransportError("the connection was cut", retryable=True)

    def reader(self):
        drop = self._drop

        class Reader(LocalReader):
            def read(self, path, start, size, unless=""):
                drop()
                return super().read(path, start, size, unless)

        return Reader()

    def read_all(self, paths):
        self._drop()
        self.looks += 1
        with (self.folder / "train.log").open("a") as log:
            log.write(f"line {self.looks}\n")
        if self.looks == 3:
            (self.folder / "exit.json").write_text('{"status": 3, "time": 0}')
        return Local().read_all(paths)

    def run(self, command, folder, **_):
        return CommandResult(0, "Job Id: 1.srv\n    job_state = R\n" if self.looks < 3 else "", "")


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    folder = PurePosixPath(tmp_path)
    return JobRecord("t", "n", Address("x", "local", "pbs"), "s", 0.0, folder, JobStatus(JobState.QUEUED), "1.srv")


def test_a_log_is_followed_through_dropped_connections_to_the_jobs_end(
    record: JobRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "LOCAL", (0.01, 0.01))
    monkeypatch.setattr(lasting, "PAUSE", 0.01)
    out, ledger = io.BytesIO(), Ledger(tmp_path / "ledger.db")
    ledger.intend(record)
    site = Site(Dropping(tmp_path), Pbs())
    assert log_view.follow(record, site, ledger, record.run_folder / "train.log", out) == 3
    assert out.getvalue() == b"line 1\nline 2\nline 3\n"
    assert "the connection was cut; connecting again" in capsys.readouterr().err


def test_what_is_no_dropped_connection_ends_it(record: JobRecord, tmp_path: Path) -> None:
    class Refused(Local):
        def read_all(self, paths):
            raise TransportError("no such host")

    with pytest.raises(TransportError, match="no such host"):
        log_view.follow(record, Site(Refused(), Pbs()), Ledger(tmp_path / "l"), record.run_folder / "x", io.BytesIO())


class Scripted(Local):
    """A log that holds `steps[n]` at the n-th look, after which the job ends well."""

    def __init__(self, folder: Path, *steps: bytes | None) -> None:
        self.folder, self.steps = folder, iter(steps)
        self._step()

    def _step(self) -> None:
        try:
            data = next(self.steps)
        except StopIteration:
            (self.folder / "exit.json").write_text('{"status": 0, "time": 0}')
            return
        if data is not None:
            (self.folder / "train.log").write_bytes(data)

    def read_all(self, paths):
        self._step()
        return super().read_all(paths)

    def run(self, command, folder, **_):
        return CommandResult(0, "Job Id: 1.srv\n    job_state = Q\n", "")


Followed = Callable[..., bytes]


@pytest.fixture
def followed(record: JobRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Followed:
    """What is written of a log that holds these bytes at each look."""
    monkeypatch.setattr(follow, "LOCAL", (0.01, 0.01))

    def followed(*steps: bytes | None, **options: object) -> bytes:
        out, ledger = io.BytesIO(), Ledger(tmp_path / "ledger.db")
        ledger.intend(record)
        site = Site(Scripted(tmp_path, *steps), Pbs())
        path = record.run_folder / "train.log"
        assert log_view.follow(record, site, ledger, path, out, **options) == 0  # type: ignore[arg-type]
        return out.getvalue()

    return followed


def test_the_last_lines_are_shown_and_what_comes_after_them(followed: Followed) -> None:
    assert followed(b"1\n2\n3\n", b"1\n2\n3\n4\n", lines=2) == b"2\n3\n4\n"


def test_without_lines_of_before_only_what_comes_is_shown(followed: Followed) -> None:
    assert followed(b"1\n2\n", b"1\n2\n3", b"1\n2\n3\n", lines=0) == b"3\n"


def test_a_log_that_is_begun_anew_is_read_from_its_start(followed: Followed) -> None:
    assert followed(b"first link\n", b"second\n", b"second\nlink\n") == b"first link\nsecond\nlink\n"


def test_a_job_that_has_written_nothing_yet_is_waited_for(
    followed: Followed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert followed(None, None, None, b"1\n") == b"1\n"
    assert capsys.readouterr().err == "hpcbrew: n has written no train.log yet; it is queued\n"


def test_a_log_that_never_came_is_said_to_be_missing(followed: Followed, capsys: pytest.CaptureFixture[str]) -> None:
    assert followed(None) == b""
    assert capsys.readouterr().err.splitlines() == [
        "hpcbrew: n has written no train.log; it is done",
    ]


def test_as_json_each_line_is_an_object_once_it_is_whole_and_the_last_is_the_job(followed: Followed) -> None:
    """é is two bytes, which two looks part; the last line lacks its end."""
    written = followed("1\n2\ncaf\u00e9".encode()[:-1], "1\n2\ncaf\u00e9\n\u00e9nd".encode(), lines=2, as_json=True)
    *lines, last = map(json.loads, written.splitlines())
    assert lines == [{"line": "2"}, {"line": "caf\u00e9"}, {"line": "\u00e9nd"}]
    assert (last["id"], last["state"], last["progress"]) == ("1.srv", "done", None)


def test_what_the_scheduler_has_forgotten_ends_as_the_ledger_knows(record: JobRecord, tmp_path: Path) -> None:
    class Silent(Local):
        def run(self, command, folder, **_):
            raise AssertionError("asked")

    cancelled = JobRecord(**{**record.__dict__, "status": JobStatus(JobState.CANCELLED)})
    ledger, path = Ledger(tmp_path / "ledger.db"), record.run_folder / "train.log"
    assert log_view.follow(cancelled, Site(Silent(), Pbs()), ledger, path, io.BytesIO()) == 143


LOCAL = Address("local", "local", "local")
LOGS = [sys.executable, "-P", "-m", "hpcbrew", "logs", "-f"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[JobRecord]:
    """A job of the queue here that has written three lines, and goes on."""
    folder = tmp_path / "run"
    folder.mkdir()
    script = "#PBS -o out\ncd $PBS_O_WORKDIR; printf '1\\n2\\n3\\n' >train.log; while [ ! -e go ]; do sleep 0.1; done\n"
    (folder / "job.pbs").write_text(f"{script}echo 4 >>train.log; exit 3\n")
    site, ledger = refresh.reach(LOCAL), Ledger()
    answer = site.transport.run(site.scheduler.submit_command(PurePosixPath("job.pbs")), PurePosixPath(folder))
    job_id = site.scheduler.parse_submit(answer)
    record = JobRecord(
        "t", "sleeper", LOCAL, "s", time.time(), PurePosixPath(folder), JobStatus(JobState.QUEUED), job_id
    )
    ledger.intend(record)
    until(lambda: (folder / "train.log").exists() and (folder / "train.log").stat().st_size >= 6)
    yield record
    site.transport.run(site.scheduler.delete_command(job_id), PurePosixPath("/"))


def test_the_end_of_a_job_is_shown_with_its_last_lines(running: JobRecord) -> None:
    process = subprocess.Popen([*LOGS, "sleeper", "--json", "-n", "1"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"line": "3"}
    Path(running.run_folder / "go").touch()
    four, last = (json.loads(line) for line in process.communicate(timeout=60)[0].splitlines())
    assert (four, last["state"], last["exit_status"]) == ({"line": "4"}, "failed", 3)
    assert process.returncode == 3
    again = subprocess.run([*LOGS, "sleeper"], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (3, "1\n2\n3\n4\n")


def test_a_reader_that_has_seen_enough_ends_it(running: JobRecord) -> None:
    """As `| head -1` does: the job is silent, and nothing more would be written for hours."""
    process = subprocess.Popen([*LOGS, "sleeper"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"1\n"
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_leaves_the_job_alone(running: JobRecord) -> None:
    process = subprocess.Popen([*LOGS, "sleeper"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "\nThe job goes on.\n")
    assert refresh.look(refresh.reach(LOCAL), [running], Ledger())[0].record.status.state is JobState.RUNNING


def test_an_array_has_a_log_for_each_of_its_jobs(record: JobRecord) -> None:
    array = replace(record, id="13[].srv")
    assert log_view.missing(array, PurePosixPath("train.log")).endswith(
        "each with its own log: try hpcbrew logs 'n[1]'"
    )


def test_a_log_is_looked_at_more_often_than_the_scheduler_is_asked(
    record: JobRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "REMOTE", (0.2, 1.0))
    monkeypatch.setattr(log_view, "LOOK", 0.01)
    asked: list[object] = []

    class Growing(Local):
        def reader(self):
            class Reader(LocalReader):
                def read(self, path, start, size, unless=""):
                    if path.name == "exit.json" and log.stat().st_size > 20 * len("line\n"):
                        Path(path).write_text('{"status": 0, "time": 0}')
                    if path.name == "train.log":
                        with log.open("a") as file:
                            file.write("line\n")
                    return super().read(path, start, size, unless)

            return Reader()

        def run(self, command, folder, **_):
            asked.append(command)
            return CommandResult(0, "Job Id: 1.srv\n    job_state = R\n", "")

    class Pieces(io.BytesIO):
        count = 0

        def write(self, data):
            Pieces.count += 1
            return super().write(data)

    log = tmp_path / "train.log"
    log.touch()
    there = replace(record, address=Address("x", "ssh", "pbs", host="x"))
    out, ledger = Pieces(), Ledger(tmp_path / "ledger.db")
    ledger.intend(there)
    assert log_view.follow(there, Site(Growing(), Pbs()), ledger, there.run_folder / "train.log", out) == 0
    assert out.getvalue() == log.read_bytes()
    assert Pieces.count >= 20
    assert len(asked) <= 2
