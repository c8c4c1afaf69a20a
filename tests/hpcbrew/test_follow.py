import io
import json
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew import follow
from hpcbrew.address import Address
from hpcbrew.answer import Answer
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState, Standing
from hpcbrew.ledger import Ledger
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.transports.local import Local
from hpcbrew.watch import Site


class Dropping(Local):
    """Each look at a file breaks off once before it succeeds; the log grows by a line a look, and the job ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.broken, self.looks = folder, True, 0

    def _drop(self) -> None:
        self.broken = not self.broken
        if not self.broken:
            raise TransportError("the connection was cut", retryable=True)

    def read(self, path, start=0, size=None):
        self._drop()
        return super().read(path, start, size)

    def read_all(self, paths):
        self._drop()
        self.looks += 1
        with (self.folder / "train.log").open("a") as log:
            log.write(f"line {self.looks}\n")
        if self.looks == 3:
            (self.folder / "exit.json").write_text('{"status": 3, "time": 0}')
        return Local().read_all(paths)

    def run(self, command, folder, **_):
        return Answer(0, "Job Id: 1.srv\n    job_state = R\n" if self.looks < 3 else "", "")


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    folder = PurePosixPath(tmp_path)
    return JobRecord("t", "n", Address("x", "local", "pbs"), "s", 0.0, folder, Standing(JobState.QUEUED), "1.srv")


def test_a_log_is_followed_through_dropped_connections_to_the_jobs_end(
    record: JobRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "FAST", 0.01)
    out, ledger = io.BytesIO(), Ledger(tmp_path / "ledger.db")
    ledger.intend(record)
    site = Site(Dropping(tmp_path), Pbs())
    assert follow.log(record, site, ledger, record.run_folder / "train.log", 0, out) == 3
    assert out.getvalue() == b"line 1\nline 2\nline 3\n"
    assert "the connection was cut; connecting again" in capsys.readouterr().err


def test_what_is_no_dropped_connection_ends_it(record: JobRecord, tmp_path: Path) -> None:
    class Refused(Local):
        def read_all(self, paths):
            raise TransportError("no such host")

    with pytest.raises(TransportError, match="no such host"):
        follow.log(record, Site(Refused(), Pbs()), Ledger(tmp_path / "l"), record.run_folder / "x", 0, io.BytesIO())


def test_a_job_that_fails_ends_with_the_engines_own_words(model: Path, hpcbrew) -> None:
    net = (model / "net.prototxt").read_text()
    (model / "net.prototxt").write_text(net.replace("batch_size: 2", "batch_size: 0"))
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--follow", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["state"]) == (2, "failed")
    assert last["error"].endswith('layer "in" (Data): batch_size is 0 or not given; 1 or more is needed.')
