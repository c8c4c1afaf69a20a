import json
from pathlib import Path, PurePosixPath
from typing import Any

from hpcbrew.address import Address
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.track import sweep_outcome
from hpcbrew.track.outcome import Outcome
from hpcbrew.track.run_folder import Best
from hpcbrew.transports.local import Local


def sweep(folder: Path, *points: dict[str, Any]) -> JobRecord:
    """One with these records in its points' folders; the first has ended at 300 s."""
    description = {"set": {}, "resources": {"nodes": 1}, "links": 1, "after": None, "engine": "own", "definitions": []}
    described = {**description, "points": [{"base_lr": str(n)} for n in range(len(points))]}
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(described))
    for n, progress in enumerate(points, 1):
        (folder / "points" / str(n)).mkdir(parents=True)
        if progress:
            (folder / "points" / str(n) / "progress.json").write_text(json.dumps(progress))
    (folder / "points" / "1" / "exit.json").write_text('{"status": 0, "time": 300}')
    status = JobStatus(JobState.RUNNING)
    return JobRecord("t", "n", Address("here", "local", "pbs"), "s", 0.0, PurePosixPath(folder), status, "1[].pbs01")


def test_the_best_of_the_points_and_how_far_all_are(tmp_path: Path) -> None:
    tests = [{"accuracy": {"value": v, "iteration": 5}, "loss": {"value": v, "iteration": 6}} for v in (0.5, 0.75)]
    points = (
        {"iteration": 10, "max_iter": 10, "loss": 0.5, "best": tests[0], "began": 100},
        {"iteration": 4, "max_iter": 10, "loss": None, "best": tests[1], "began": 90},
        {},
    )
    (found,) = sweep_outcome.outcomes(Local(), [sweep(tmp_path / "a", *points)])
    assert found.progress is not None
    assert (found.progress.iteration, found.progress.max_iter, found.progress.loss) == (14, 30, 0.5)
    assert found.progress.best == {"accuracy": Best(0.75, 5), "loss": Best(0.5, 6)}
    assert (found.ended, found.ran) == (300, 210)


def test_a_sweep_of_which_nothing_can_be_read_hides_no_other(tmp_path: Path) -> None:
    damaged, other = sweep(tmp_path / "a", {}), sweep(tmp_path / "b", {"iteration": 1, "max_iter": 2})
    (tmp_path / "a" / "job.json").write_text("{")
    nothing, found = sweep_outcome.outcomes(Local(), [damaged, other])
    assert nothing == Outcome()
    assert found.progress is not None


def test_no_more_points_are_looked_at_than_one_waits_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sweep_outcome, "MOST", 1)
    progress = {"iteration": 1, "max_iter": 2}
    first, second = sweep(tmp_path / "a", progress), sweep(tmp_path / "b", progress)
    assert [o.progress is not None for o in sweep_outcome.outcomes(Local(), [first, second])] == [True, False]
