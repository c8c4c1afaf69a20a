"""A cluster behind a real SSH server: its qsub, qstat and qdel are the local queue's, in a home of their own."""

import contextlib
import hashlib
import importlib.util
import os
import random
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import lmdb
import pytest

from hpcbrew import cluster, fetch, limits, prepare, ship, sweep, watch
from hpcbrew.answer import Answer
from hpcbrew.cluster import Cluster
from hpcbrew.digest import measure
from hpcbrew.errors import SchedulerError, TransportError
from hpcbrew.job import JobRecord, JobRequest, JobState, Standing
from hpcbrew.ledger import Ledger
from hpcbrew.machine import Machine
from hpcbrew.manifest import collect
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.submit import submit
from hpcbrew.transports.ssh import Ssh
from hpcbrew.transports.ssh_login import Unattended
from hpcbrew.watch import Site, Watched

_spec = importlib.util.spec_from_file_location("sshd", Path(__file__).parent / "transports" / "sshd.py")
assert _spec is not None
assert _spec.loader is not None
sshd = importlib.util.module_from_spec(_spec)
sys.modules["sshd"] = sshd
_spec.loader.exec_module(sshd)


class Counted(Ssh):
    """Counts round trips. `cut_after` names a word: the connection breaks once a command with it has run."""

    trips = 0
    cut_after: str | None = None

    def _channel(self, command, stdin):
        self.trips += 1
        answer = super()._channel(command, stdin)
        if self.cut_after and self.cut_after in command:
            self.cut_after = None
            self.close()
            raise TransportError("cluster: the connection was cut", retryable=True)
        return answer


@dataclass
class There:
    """The cluster: its home on this machine, and the way to it."""

    home: Path
    site: Site
    transport: Counted
    profile: Cluster
    ledger: Ledger
    cut: Callable[[], None]

    def submit(self, model: Path, **request: object) -> JobRecord:
        asked = JobRequest(model / "solver.prototxt", **request)  # type: ignore[arg-type]
        plan = prepare.plan(asked, self.profile, collect(asked), limits.settle(asked, self.profile, Machine(1, 0)))
        return submit(plan, "solver.prototxt", self.transport, Pbs(), self.ledger, lambda size: None)

    def until(self, state: JobState) -> Watched:
        """Looks until the newest job is in that state. The limit is for a test that fails."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            (watched,) = watch.look(self.site, self.ledger.all()[-1:], self.ledger)
            if watched.record.standing.state is state:
                return watched
            assert not watched.record.standing.state.final, watched
            time.sleep(0.2)
        raise AssertionError(watched)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    home = tmp_path / "there"
    (home / "bin").mkdir(parents=True)
    (home / "scratch" / "engine" / "bin").mkdir(parents=True)
    python = shlex.quote(sys.executable)
    shims = {f"bin/{q}": f"{python} -P -m hpcbrew.localqueue {q}" for q in ("qsub", "qstat", "qdel")}
    shims["scratch/engine/bin/caffe"] = f"{python} -P -m engine.cli"
    for name, command in shims.items():
        (home / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (home / name).chmod(0o755)
    profile = f"export PATH={home}/bin:$PATH XDG_DATA_HOME={home}/data\necho Welcome to the cluster\n"
    (home / ".bash_profile").write_text(profile)
    (tmp_path / "sshd").mkdir()
    with sshd.serve(tmp_path / "sshd", f'ForceCommand HOME={home} eval "$SSH_ORIGINAL_COMMAND"') as server:
        transport = Counted("cluster", Unattended(), server.resolve)
        values = {**cluster.values("openpbs"), "name": "there", "host": "cluster", "gpus_per_node": 0}
        site = Site(transport, Pbs())
        yield There(home, site, transport, Cluster.model_validate(values), Ledger(tmp_path / "ledger.db"), server.cut)
        transport.close()


def test_a_solver_is_trained_on_the_cluster(there: There, model: Path) -> None:
    record = there.submit(model)
    there.until(JobState.DONE)
    assert Path(record.run_folder).parent == there.home / "scratch" / "runs"
    assert "tiny_iter_3.caffemodel" in there.transport.names(record.run_folder / "snapshots")
    assert b"Optimization Done." in (there.transport.read(record.run_folder / "train.log") or b"")


def test_a_submit_with_nothing_to_ship_takes_four_round_trips(there: There, model: Path) -> None:
    there.submit(model)
    there.transport.trips, there.transport._roots = 0, {}
    there.submit(model, name="again")
    assert there.transport.trips <= 4


def test_a_refused_job_leaves_nothing_there(there: There, model: Path) -> None:
    (there.home / "bin" / "qsub").write_text("#!/bin/sh\necho 'qsub: Unknown queue' >&2\nexit 170\n")
    with pytest.raises(SchedulerError, match=r"qsub refused the job \(exit status 170\): qsub: Unknown queue"):
        there.submit(model)
    assert there.transport.names(PurePosixPath(there.home / "scratch" / "runs")) == []
    assert there.ledger.all() == []


def test_a_connection_cut_after_qsub_makes_no_second_job_and_loses_none(there: There, model: Path) -> None:
    there.transport.cut_after = "qsub job.pbs"
    record = there.submit(model)
    assert record.id == "1.local"
    queue = there.transport.run(["qstat"], PurePosixPath("/"))
    assert queue.out.count("Job_Name") == 1


def test_a_job_whose_id_was_never_written_is_found_by_its_folder(there: There, model: Path) -> None:
    record = there.submit(model, overrides=(("max_iter", "100000"),))
    (Path(record.run_folder) / "job.id").unlink()
    lost = replace(record, token="other", id=None, standing=Standing(JobState.SUBMITTING))
    there.ledger.intend(lost)
    (watched,) = watch.look(there.site, [lost], there.ledger)
    assert watched.record.id == there.ledger.find("other").id == record.id
    assert watched.record.standing.state in (JobState.QUEUED, JobState.RUNNING)
    there.transport.run(["qdel", "1.local"], PurePosixPath("/"))


def test_a_job_that_never_reached_the_scheduler_is_lost_after_a_while(there: There, model: Path) -> None:
    folder = PurePosixPath(there.home / "scratch" / "runs" / "tiny-t")
    address = there.profile.address
    for token, age in (("young", 60.0), ("old", 3600.0)):
        sent = JobRecord(token, "tiny", address, "s", time.time() - age, folder, Standing(JobState.SUBMITTING))
        there.ledger.intend(sent)
    states = [str(w.record.standing.state) for w in watch.look(there.site, there.ledger.all(), there.ledger)]
    assert states == ["lost", "submitting"]


def test_a_server_that_does_not_answer_changes_no_state(there: There, model: Path) -> None:
    there.submit(model, overrides=(("max_iter", "100000"),))
    before = there.ledger.all()
    (there.home / "bin" / "qstat").write_text("#!/bin/sh\necho 'Connection refused' >&2\nexit 255\n")
    (watched,) = watch.look(there.site, before, there.ledger)
    assert watched.trouble == "qstat failed (exit status 255): Connection refused"
    assert there.ledger.all() == before
    there.transport.run(["qdel", "1.local"], PurePosixPath("/"))


def test_one_question_for_all_jobs(there: There, model: Path) -> None:
    for name in ("a", "b", "c"):
        there.submit(model, name=name, overrides=(("max_iter", "100000"),))
    asked: list[str] = []
    run: Callable[..., Answer] = there.transport.run
    there.transport.run = lambda command, folder, **how: (asked.append(command[0]), run(command, folder, **how))[1]  # type: ignore[method-assign]
    watch.look(there.site, there.ledger.all(), there.ledger)
    assert asked == ["qstat"]
    for record in there.ledger.all():
        assert record.id is not None
        run(["qdel", record.id], PurePosixPath("/"))


ENGINE = """#!/bin/sh
for i in 1 2 3; do echo "Iteration $i, loss = 0.$i"; done
head -c 3000000 /dev/urandom >snapshots/tiny_iter_3.caffemodel
"""


def fill(database: Path) -> None:
    """Gives a database megabytes that it never had before, so that they have to be sent."""
    with lmdb.open(str(database), map_size=2**24) as db, db.begin(write=True) as transaction:
        for i in range(40):
            transaction.put(f"x{i}".encode(), os.urandom(50_000))


@contextlib.contextmanager
def cutting(cut: Callable[[], None], times: int) -> Iterator[threading.Event]:
    """Cuts the line at random moments; gives an event that is set once it was cut so often."""
    enough, stop, chance = threading.Event(), threading.Event(), random.Random(5)

    def work() -> None:
        for _ in range(times):
            if stop.wait(chance.uniform(0.1, 3.0)):
                return
            cut()
        enough.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield enough
    finally:
        stop.set()
        thread.join()


def persist(step: Callable[..., Any], *arguments: Any) -> Any:
    """What a user does: the same again. The limit is for a test that fails."""
    for _ in range(10):
        with contextlib.suppress(TransportError):
            return step(*arguments)
    return step(*arguments)


def there_and_back(there: There, model: Path, name: str, into: Path) -> None:
    """A job from new data to fetched results."""
    fill(model / "train_lmdb")
    before = len(there.ledger.all())
    while len(there.ledger.all()) == before:  # a submission that was given up for certain left no trace
        with contextlib.suppress(TransportError):
            there.submit(model, name=name)
    folder = there.until(JobState.DONE).record.run_folder
    assert b"Iteration 3, loss = 0.3" in (persist(there.transport.read, folder / "train.log") or b"")
    record = there.ledger.find(name)
    files = persist(fetch.wanted, record, there.transport)
    persist(fetch.fetch, record, files, there.transport, into, lambda size: None)
    assert {p for p in files if (into / p).read_bytes() != Path(folder / p).read_bytes()} == set()


@pytest.mark.parametrize("cuts", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_no_job_is_lost_or_doubled_and_no_file_broken_by_cuts_at_any_moment(there, model, cuts, monkeypatch, tmp_path):
    monkeypatch.setattr(ship, "CHUNK", 2**19)
    monkeypatch.setattr(fetch, "PIECE", 2**20)
    (there.home / "scratch" / "engine" / "bin" / "caffe").write_text(ENGINE)
    asked = 0
    with cutting(there.cut, cuts) as enough:
        while not enough.is_set():
            there_and_back(there, model, f"job{asked}", tmp_path / f"fetched{asked}")
            asked += 1
    listed = there.transport.run(["qstat", "-x", "-f"], PurePosixPath("/"), again=True).out
    assert listed.count("Job_Name") == asked
    assert sorted(r.name for r in there.ledger.all()) == sorted(f"job{i}" for i in range(asked))
    for folder in (there.home / "scratch" / "data").iterdir():
        for path in (p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() in (folder / "SHA256SUMS").read_text()


def engine(there: There, body: str) -> None:
    """In place of the engine: what is tested here is the script around it."""
    caffe = there.home / "scratch" / "engine" / "bin" / "caffe"
    caffe.write_text(f"#!/bin/bash\n{body}\n")
    caffe.chmod(0o755)


def test_a_chain_goes_on_by_itself_until_it_is_done(there: There, model: Path) -> None:
    engine(there, 'echo "$*" >>calls; touch "snapshots/tiny_iter_$(wc -l <calls).solverstate"; '
                  "[[ $(wc -l <calls) -ge 3 ]] || exit 75")  # fmt: skip
    record = there.submit(model, links=None)
    there.until(JobState.DONE)
    calls = (Path(record.run_folder) / "calls").read_text().splitlines()
    assert calls == ["train -solver solver.prototxt"] + ["train -solver solver.prototxt -snapshot auto"] * 2


def test_a_sweep_is_an_array_whose_jobs_can_be_asked_for(there: There, model: Path) -> None:
    engine(there, 'grep -q "base_lr: 0.1" solver.prototxt')
    asked = JobRequest(model / "solver.prototxt")
    settled = limits.settle(asked, there.profile, Machine(1, 0))
    plan = sweep.plan(asked, there.profile, settled, sweep.points(["base_lr=0.1,0.2"]), measure)
    record = submit(plan, "solver.prototxt", there.transport, Pbs(), there.ledger, lambda size: None)
    assert record.id == "1[].local"
    while not watch.look(there.site, there.ledger.all(), there.ledger)[0].record.standing.state.final:
        time.sleep(0.2)
    both = watch.look(there.site, [there.ledger.find(f"1[{n}]") for n in (1, 2)], there.ledger)
    assert [w.record.standing.state for w in both] == [JobState.DONE, JobState.FAILED]
