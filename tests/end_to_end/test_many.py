"""A thousand jobs of one user, over a real SSH connection: one question for all of them."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from support.remote import RemoteCluster

from hpcbrew.command_result import CommandResult
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import query, refresh

MANY = 1000


def multiply(remote: RemoteCluster, record: JobRecord, count: int) -> list[JobRecord]:
    """As many jobs like this one, in the server and in the ledger."""
    path = remote.pbs.state / "jobs.json"
    kept = json.loads(path.read_text())
    (job,) = kept["jobs"].values()
    runs = record.run_folder.parent
    records = [
        replace(record, token=f"{n:08x}", id=f"{n}.pbs01", run_folder=runs / f"n-{n:08x}") for n in range(2, count + 2)
    ]
    written = json.dumps(job)
    for one in records:
        own = written.replace(record.run_folder.name, one.run_folder.name)
        kept["jobs"][one.id] = {**json.loads(own), "id": one.id}
    path.write_text(json.dumps({**kept, "following": count + 2}))
    with remote.ledger.together():
        for one in records:
            remote.ledger.intend(one)
    return records


def asked(remote: RemoteCluster) -> list[Sequence[str]]:
    """Every command that is run there from now on."""
    commands: list[Sequence[str]] = []
    run: Callable[..., CommandResult] = remote.transport.run
    remote.transport.run = lambda command, folder, **how: (commands.append(command), run(command, folder, **how))[1]  # type: ignore[method-assign]
    return commands


def test_a_thousand_jobs_are_asked_for_at_once(remote: RemoteCluster, model: Path) -> None:
    remote.pbs.configure(queues={"workq": {"started": "False"}})
    records = multiply(remote, remote.submit(model), MANY)
    commands, start = asked(remote), time.monotonic()
    seen = refresh.look(remote.site, records, remote.ledger)
    took = time.monotonic() - start
    assert {tracked.record.status.state for tracked in seen} == {JobState.QUEUED}
    assert [command[:4] for command in commands] == [("qstat", "-x", "-f", "-E")]
    assert took < 10, took  # under three seconds on a machine that does nothing else


def test_those_that_the_server_has_forgotten_are_known_by_a_second_question(remote: RemoteCluster, model: Path) -> None:
    remote.pbs.configure(queues={"workq": {"started": "False"}})
    first = remote.submit(model)
    records = multiply(remote, first, query.SOME + 10)
    remote.pbs.run("qdel", *(str(record.id) for record in records[:10]))
    remote.pbs.run("qdel", "-x", *(str(record.id) for record in records[:10]))
    commands = asked(remote)
    states = [tracked.record.status.state for tracked in refresh.look(remote.site, records, remote.ledger)]
    assert states == [JobState.LOST] * 10 + [JobState.QUEUED] * query.SOME
    assert [command[0] for command in commands] == ["qstat", "qstat", "find"]


def test_a_pbs_without_the_option_is_asked_for_all_that_it_has(remote: RemoteCluster, model: Path) -> None:
    remote.pbs.configure(queues={"workq": {"started": "False"}})
    records = multiply(remote, remote.submit(model), query.SOME + 10)
    old = remote.pbs.bin / "qstat"
    text = old.read_text()
    old.write_text(text.replace("\n", '\ncase " $* " in *" -E "*) echo "usage: qstat [-f]" >&2; exit 2;; esac\n', 1))
    seen = refresh.look(remote.site, records, remote.ledger)
    assert {tracked.record.status.state for tracked in seen} == {JobState.QUEUED}


def test_a_job_that_was_never_confirmed_is_asked_for_by_name(remote: RemoteCluster, model: Path) -> None:
    remote.pbs.configure(queues={"workq": {"started": "False"}})
    record = remote.submit(model)
    remote.submit(model, name="other")
    (Path(record.run_folder) / "job.id").unlink()
    lost = replace(record, token="other", id=None, status=JobStatus(JobState.SUBMITTING))
    remote.ledger.intend(lost)
    commands = asked(remote)
    (tracked,) = refresh.look(remote.site, [lost], remote.ledger)
    assert tracked.record.id == record.id
    assert [command[-1] for command in commands] == ["tiny", record.id, record.id]


def test_a_chain_of_many_links_is_asked_for_by_its_last(remote: RemoteCluster, model: Path) -> None:
    remote.pbs.configure(queues={"workq": {"started": "False"}})
    record = remote.submit(model)
    folder = Path(record.run_folder)
    (folder / "job.id").write_text("100.pbs01\n")
    (folder / "links.id").write_text("".join(f"{n}.pbs01\n" for n in range(101, 300)) + f"{record.id}\n")
    (folder / "links.log").write_text("".join(f"{n}.pbs01 75 x_iter_{n}.solverstate\n" for n in range(100, 300)))
    commands = asked(remote)
    (tracked,) = refresh.look(remote.site, [record], remote.ledger)
    assert [command[3:] for command in commands] == [("299.pbs01", record.id)]
    assert tracked.record.status == JobStatus(JobState.QUEUED, "link 201 of 201 so far: its queue is stopped for now")
