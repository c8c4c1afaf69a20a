import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import compare
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.run_folder import Best

LOCAL = Address("local", "local", "local")
DESCRIPTION = {"resources": {"nodes": 1}, "links": 1, "after": None, "engine": "own", "definitions": []}


def job(folder: Path, *, loss: float, **described: object) -> JobRecord:
    """A job that has ended, which the scheduler need not be asked about."""
    folder.mkdir(parents=True)
    metrics = [
        {"phase": "train", "iteration": 1, "loss": 2.0},
        {"phase": "test", "iteration": 1, "outputs": {"accuracy": 0.5}},
        {"phase": "train", "iteration": 2, "loss": None},
        {"phase": "train", "iteration": 3, "loss": loss},
        {"phase": "test", "iteration": 3, "outputs": {"accuracy": 0.75}},
    ]
    (folder / "job.json").write_text(json.dumps({"name": folder.name, "set": {}, **DESCRIPTION, **described}))
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(m)}\n" for m in metrics) + '{"phase": "tr')
    (folder / "progress.json").write_text(json.dumps({"iteration": 3, "max_iter": 9, "loss": loss}))
    (folder / "exit.json").write_text('{"status": 0, "time": 1}')
    (folder / "job.id").write_text("7.local\n")
    status = JobStatus(JobState.RUNNING)
    record = JobRecord(folder.name, folder.name, LOCAL, "s", 0.0, PurePosixPath(folder), status, "7.local")
    Ledger().intend(record)
    return record


def test_jobs_stand_side_by_side_with_settings_losses_best_and_last_test(home: Path, tmp_path: Path) -> None:
    records = [job(tmp_path / "a", loss=1.0), job(tmp_path / "b", loss=0.5, set={"base_lr": "0.1"})]
    first, second = compare.rows(records, Ledger(), pytest.fail)
    assert (first.name, first.settings, second.settings) == ("a", {}, {"base_lr": "0.1"})
    assert (first.state, first.iteration, first.max_iter, first.loss) == (JobState.DONE, 3, 9, 1.0)
    assert (second.outputs, second.tested, second.best) == ({"accuracy": 0.75}, 3, {"accuracy": Best(0.75, 3)})
    assert second.as_json()["losses"] == [(1, 2.0), (3, 0.5)]
    assert second.log.diverged == 2


def test_what_differs_between_the_solvers_is_a_setting(home: Path, tmp_path: Path) -> None:
    records = [job(tmp_path / name, loss=1.0) for name in "abc"]
    solvers = ("base_lr: 0.5 momentum: 0.9", "base_lr: 0.25 momentum: 0.9 display: 5", "{")
    for name, solver in zip("abc", solvers, strict=True):
        (tmp_path / name / "solver.prototxt").write_text(solver)
    rows = compare.rows(records[:2], Ledger(), pytest.fail)
    assert [row.settings for row in rows] == [{"base_lr": "0.5"}, {"base_lr": "0.25"}]
    assert compare.rows(records[2:], Ledger(), pytest.fail)[0].settings == {}


def test_what_is_the_same_for_all_tells_none_from_the_others(home: Path, tmp_path: Path) -> None:
    rates = {"a": "0.1", "b": "0.2"}
    records = [job(tmp_path / n, loss=1.0, set={"base_lr": rate, "max_iter": "9"}) for n, rate in rates.items()]
    rows = compare.rows(records, Ledger(), pytest.fail)
    assert [row.settings for row in rows] == [{"base_lr": "0.1"}, {"base_lr": "0.2"}]
    assert compare.rows(records[:1], Ledger(), pytest.fail)[0].settings == {"base_lr": "0.1", "max_iter": "9"}


def test_a_legend_tells_jobs_apart_that_are_called_alike(home: Path, tmp_path: Path) -> None:
    (row,) = compare.rows([job(tmp_path / "a", loss=1.0)], Ledger(), pytest.fail)
    again, other = replace(row, id="8.local"), replace(row, id="9.local", settings={"base_lr": "0.1"})
    assert compare.labels([row]) == ["a"]
    assert compare.labels([row, again, other]) == ["a 7.local", "a 8.local", "a, base_lr 0.1"]
    both = [replace(other, settings={"base_lr": rate, "max_iter": "9"}) for rate in ("0.1", "0.2")]
    assert compare.labels(both) == ["a, base_lr 0.1", "a, base_lr 0.2"]


def test_a_sweep_has_a_row_for_each_of_its_points(home: Path, tmp_path: Path) -> None:
    points = [{"base_lr": "0.1"}, {"base_lr": "0.2"}]
    sweep = replace(job(tmp_path / "sweep", loss=1.0, points=points), token="ab", id="8[].local")
    Ledger().intend(sweep)
    for n, loss in ((1, 0.25), (2, 0.5)):
        job(tmp_path / "sweep" / "points" / str(n), loss=loss)
    rows = compare.rows([sweep], Ledger(), pytest.fail)
    assert [(row.settings["base_lr"], row.loss, row.state) for row in rows] == [
        ("0.1", 0.25, JobState.DONE),
        ("0.2", 0.5, JobState.DONE),
    ]


def test_a_job_whose_folder_is_gone_is_named(home: Path, tmp_path: Path) -> None:
    record = job(tmp_path / "a", loss=1.0)
    Path(record.run_folder / "job.json").unlink()
    with pytest.raises(TransportError, match="the description of a is missing"):
        compare.rows([record], Ledger(), pytest.fail)
