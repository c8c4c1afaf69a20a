import json
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.address import Address
from hpcbrew.cli.training_view import Bar, Lines
from hpcbrew.job import JobRecord, JobState, JobStatus


def test_a_job_that_fails_ends_with_the_engines_own_words(model: Path, hpcbrew) -> None:
    net = (model / "net.prototxt").read_text()
    (model / "net.prototxt").write_text(net.replace("data_param", "transform_param { mean_value: [1, 2] } data_param"))
    done = hpcbrew("submit", model / "solver.prototxt", "--cluster", "local", "--follow", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["state"]) == (2, "failed")
    assert last["error"].endswith("channels and transform_param has 2 mean_value; give one, or one per channel")


def test_the_end_of_an_array_names_where_its_jobs_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    failed = JobStatus(JobState.FAILED, "at least one job of the array failed", 1)
    record = JobRecord(
        "a", "lenet", Address("here", "local", "pbs"), "s", 0.0, PurePosixPath("/r"), failed, "1[].pbs01"
    )
    Lines(record).end(record, None, None)
    assert capsys.readouterr().out == (
        "Failed: at least one job of the array failed\nIts jobs: hpcbrew compare lenet, hpcbrew logs 'lenet[1]'\n"
    )


def test_the_end_of_a_job_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    here, folder = Address("here", "local", "local"), PurePosixPath("/r")
    record = JobRecord("a", "lenet", here, "s", 0.0, folder, JobStatus(JobState.DONE, "", 0), "1.local")
    Lines(record).end(record, folder / "snapshots/x_iter_5.caffemodel", None)
    told = capsys.readouterr()
    assert told.out == "Done\nModel: /r/snapshots/x_iter_5.caffemodel\n"
    assert told.err == "Next: hpcbrew fetch lenet downloads it, hpcbrew plot lenet plots the training\n"


@pytest.mark.parametrize(("state", "more"), [(JobState.CANCELLED, ""), (JobState.OUT_OF_MEMORY, " --mem SIZE")])
def test_the_end_of_one_that_broke_off_says_how_it_goes_on(
    capsys: pytest.CaptureFixture[str], state: JobState, more: str
) -> None:
    here, folder = Address("here", "local", "local"), PurePosixPath("/r")
    record = JobRecord("a", "lenet", here, "s", 0.0, folder, JobStatus(state, "", 143), "1.local")
    Lines(record).end(record, folder / "snapshots/x_iter_5.caffemodel", None)
    assert capsys.readouterr().err.startswith(
        f"Next: hpcbrew resume lenet{more} continues from it, hpcbrew fetch lenet downloads"
    )


@pytest.mark.parametrize(("columns", "first"), [(44, "500/10000 loss 0.5"), (80, "training ━")])
def test_a_narrow_terminal_shows_the_figures_and_not_the_bar(
    monkeypatch: pytest.MonkeyPatch, columns: int, first: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    here, running = Address("here", "local", "local"), JobStatus(JobState.RUNNING, "", None)
    bar = Bar(JobRecord("a", "lenet", here, "s", 0.0, PurePosixPath("/r"), running, "1.local"))
    progress, console = bar._bar, bar._bar.console
    console.width = columns
    progress.update(bar._task, completed=500, total=10000, figures="loss 0.5, 596 images/s, 2m left", visible=True)
    with console.capture() as shown:
        console.print(progress.get_renderable())
    assert (shown.get().startswith(first), "500/10000" in shown.get()) == (True, True)
