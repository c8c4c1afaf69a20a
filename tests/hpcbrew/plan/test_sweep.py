import json
from pathlib import Path

import pytest
from support.until import until

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, JobRequest, JobState, new_token
from hpcbrew.plan import build, sweep
from hpcbrew.plan.hardware import Machine
from hpcbrew.submit.submit import submit
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger


def planned(model: Path, profile: Cluster, *axes: str) -> JobPlan:
    request = JobRequest(model / "solver.prototxt", project="ee")
    return sweep.plan(request, profile, sweep.points(axes), Machine(1, 0), new_token())


def test_the_points_are_all_combinations() -> None:
    assert sweep.points(["base_lr=0.1,0.01", "type=SGD,Nesterov"]) == [
        (("base_lr", "0.1"), ("type", "SGD")),
        (("base_lr", "0.1"), ("type", "Nesterov")),
        (("base_lr", "0.01"), ("type", "SGD")),
        (("base_lr", "0.01"), ("type", "Nesterov")),
    ]


def test_fields_that_go_together_are_one_axis() -> None:
    assert sweep.points(["type,base_lr=SGD:0.01,Adam:0.001", "max_iter=5"]) == [
        (("type", "SGD"), ("base_lr", "0.01"), ("max_iter", "5")),
        (("type", "Adam"), ("base_lr", "0.001"), ("max_iter", "5")),
    ]


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (["type,base_lr=SGD:0.01,Adam"], "'Adam' has 1"),
        (["type,base_lr=SGD:0.01,Adam:"], "2 parts joined by colons"),
        (["type,type=SGD:Adam,Adam:SGD"], "distinct keys"),
        (["type,base_lr=SGD:1,Adam:2", "base_lr=3,4"], "base_lr is given twice"),
        (["base_lr=0.1"], "a sweep needs at least two points"),
        (
            [f"{key}={','.join(map(str, range(100)))}" for key in ("max_iter", "display", "snapshot", "iter_size")],
            "these are 100,000,000 points, and a sweep has 100,000 at most",
        ),
        (["base_lr=0.1,"], "distinct values"),
        (["base_lr=0.1,0.1"], "distinct values"),
        (["base_lr=1,2", "base_lr=3"], "given twice"),
    ],
)
def test_what_is_no_sweep_is_refused(axes: list[str], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        sweep.points(axes)


def test_a_point_that_a_solver_does_not_take_is_refused(model: Path) -> None:
    with pytest.raises(RequestError, match="base_rl"):
        planned(model, profiles.load("iitd"), "base_rl=1,2")


def test_a_sweep_is_one_array_and_ships_its_data_once(model: Path) -> None:
    made = planned(model, profiles.load("iitd"), "base_lr=0.1,0.01", "max_iter=5,6")
    assert "#PBS -J 1-4\n#PBS -r y\n#PBS -j oe\n#PBS -o points/^array_index^/scheduler.log\n" in made.script
    assert len(made.data) == 1
    files = {str(u.target.relative_to(made.run_folder)): (u.content or b"").decode() for u in made.definitions}
    solver = text.parse(files["points/3/solver.prototxt"], pb.SolverParameter)
    assert (round(solver.base_lr, 6), solver.max_iter) == (0.01, 5)
    assert f'source: "../../../../{made.data[0].target.parent}"' in files["points/3/net.prototxt"]
    assert json.loads(files["job.json"])["points"][2] == {"base_lr": "0.01", "max_iter": "5"}


def test_a_sweep_runs_in_the_queue_on_this_machine(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = tmp_path / "caffe"
    engine.write_text('#!/bin/bash\ngrep -q "base_lr: 0.25" solver.prototxt\n')
    engine.chmod(0o755)
    monkeypatch.setattr(build, "_engine", lambda *_: (str(engine),))
    made, ledger = planned(model, profiles.load("local"), "base_lr=0.25,0.5"), Ledger()
    site = refresh.reach(made.address)
    record = submit(made, "solver.prototxt", site.transport, site.scheduler, ledger, lambda size: None)
    assert record.id == "1[].local"
    until(lambda: refresh.look(site, [record], ledger)[0].record.status.state.final)
    record = ledger.find(record.token)
    assert (record.status.state, record.status.reason) == (JobState.FAILED, "at least one job of the array failed")
    points = refresh.look(site, [ledger.find(f"1[{n}]") for n in (1, 2)], ledger)
    assert [point.record.status.state for point in points] == [JobState.DONE, JobState.FAILED]
