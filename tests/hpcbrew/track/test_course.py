import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from hpcbrew.track import course
from hpcbrew.track.course import of_entries, with_past
from hpcbrew.transports.local import Local
from hpcbrew.transports.local_reader import LocalReader

DESCRIPTION = {"resources": {"nodes": 1}, "links": 1, "after": None, "engine": "own", "definitions": [], "set": {}}


def train(iteration: int, loss: float | None, time: float = 0.0) -> dict[str, Any]:
    return {"phase": "train", "iteration": iteration, "loss": loss, "lr": 0.1, "time": time}


def run(folder: Path, entries: list[dict[str, Any]], snapshot: str | None) -> None:
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps({"name": "a", **DESCRIPTION, "snapshot": snapshot}))
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))


def test_losses_and_tests_are_told_with_the_seconds_since_the_first() -> None:
    test = {"phase": "test", "net": 1, "iteration": 2, "outputs": {"a": 0.5, "b": [1.0, None]}, "time": 13.0}
    log = of_entries([train(0, 2.0, 10.0), train(2, 1.0, 12.0), test])
    assert [(row.iteration, row.seconds, row.loss, row.rate) for row in log.train] == [(0, 0, 2, 0.1), (2, 2, 1, 0.1)]
    (row,) = log.tests[1]
    assert (row.seconds, row.outputs) == (3.0, {"a": 0.5, "b": 1.0, "b[1]": pytest.approx(float("nan"), nan_ok=True)})
    assert log.diverged is None


def test_where_iterations_were_done_again_the_last_count() -> None:
    log = of_entries([train(0, 3.0), train(2, 2.0), train(4, 1.0), train(2, 1.5)])
    assert [(row.iteration, row.loss) for row in log.train] == [(0, 3.0), (2, 1.5)]


def test_a_loss_that_is_no_number_is_where_it_diverged() -> None:
    assert of_entries([train(0, 3.0), train(2, None), train(4, None)]).diverged == 2


def test_a_resumed_job_has_the_past_of_those_before_it(tmp_path: Path) -> None:
    run(tmp_path / "a-1", [train(n, 9.0 - n, 100 + n) for n in range(4)], None)
    run(tmp_path / "a-2", [train(n, 6.5 - n, 200 + n) for n in (3, 4, 5)], "../a-1/snapshots/x_iter_3.solverstate")
    run(tmp_path / "a-3", [train(4, 1.0, 300), train(5, 0.5, 301)], "../a-2/snapshots/x_iter_4.solverstate")
    log = course.course(PurePosixPath(tmp_path / "a-3"), LocalReader(), pytest.fail)
    found = with_past(log, "../a-2/snapshots/x_iter_4.solverstate", PurePosixPath(tmp_path), Local(), pytest.fail)
    assert [(row.iteration, row.loss, row.seconds) for row in found.train] == [
        (0, 9.0, 0.0), (1, 8.0, 1.0), (2, 7.0, 2.0), (3, 3.5, 2.0), (4, 1.0, 2.0), (5, 0.5, 3.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "resumed", ["../../etc/snapshots/x_iter_4.solverstate", "/a/x_iter_4.solverstate", "../.a", ""]
)
def test_a_state_that_lies_in_no_run_folder_beside_it_is_no_past(tmp_path: Path, resumed: str) -> None:
    log = of_entries([train(4, 1.0)])
    assert with_past(log, resumed, PurePosixPath(tmp_path), Local(), pytest.fail) is log


def test_a_job_that_claims_to_be_its_own_past_ends(tmp_path: Path) -> None:
    state = "../a-1/snapshots/x_iter_3.solverstate"
    run(tmp_path / "a-1", [train(n, 1.0) for n in range(5)], state)
    log = course.course(PurePosixPath(tmp_path / "a-1"), LocalReader(), pytest.fail)
    found = with_past(log, state, PurePosixPath(tmp_path), Local(), pytest.fail)
    assert found.train[-1].iteration == 4
