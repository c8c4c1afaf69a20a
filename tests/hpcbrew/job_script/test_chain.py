"""A chain in the queue on this machine; tests/end_to_end has what else may become of one."""

from pathlib import Path

import pytest
from support.until import until

from hpcbrew.clusters import profiles
from hpcbrew.job import JobRequest, JobState, new_token
from hpcbrew.plan import build
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.submit.submit import submit
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger

# Leaves a snapshot and goes on the first time, and ends the second.
ENGINE = """#!/bin/bash
printf '%%s\\n' "$*" >>calls
touch "snapshots/tiny_iter_$(wc -l <calls).solverstate"
[[ $(wc -l <calls) -ge 2 ]] || exit 75
exit %d
"""


@pytest.mark.parametrize(("status", "state"), [(0, JobState.DONE), (65, JobState.DIVERGED)])
def test_a_chain_goes_on_by_itself_until_it_is_done_or_has_diverged(
    status: int, state: JobState, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = tmp_path / "caffe"
    engine.write_text(ENGINE % status)
    engine.chmod(0o755)
    monkeypatch.setattr(build, "_engine", lambda *_: (str(engine),))
    profile, asked, ledger = profiles.load("local"), JobRequest(model / "solver.prototxt", links=None), Ledger()
    made = plan_job(asked, profile, Machine(1, 0), new_token())
    site = refresh.reach(made.address)
    record = submit(made, "solver.prototxt", site.transport, site.scheduler, ledger, lambda size: None)
    until(lambda: refresh.look(site, [record], ledger)[0].record.status.state.final)
    record = ledger.find(record.token)
    assert record.status.state is state
    assert (Path(record.run_folder) / "calls").read_text().splitlines() == [
        "train -solver solver.prototxt",
        "train -solver solver.prototxt -snapshot auto",
    ]
