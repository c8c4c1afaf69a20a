import json
from pathlib import Path

import pytest

from hpcbrew.job import JobRecord

TRAIN = [{"phase": "train", "iteration": n, "loss": 4.0 / (n + 1), "lr": 0.1, "time": 10.0 + n} for n in range(5)]
TEST = {"phase": "test", "net": 0, "iteration": 4, "outputs": {"accuracy": 0.5}, "time": 15.0}


@pytest.fixture
def trained(lenet: JobRecord) -> Path:
    folder = Path(lenet.run_folder)
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in (*TRAIN, TEST)))
    return folder


def test_curves_are_drawn_in_the_terminal(trained: Path, hpcbrew) -> None:
    done = hpcbrew("plot", "lenet", "--rate", "--log")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in lines if line in ("loss", "accuracy", "learning rate")] == [
        "loss", "accuracy", "learning rate",
    ]  # fmt: skip
    assert "── train" in lines


def test_a_picture_is_drawn_and_named(trained: Path, tmp_path: Path, hpcbrew) -> None:
    (tmp_path / "old.log").write_text("Iteration 5, loss = 0.25\n")
    done = hpcbrew("plot", "lenet", tmp_path / "old.log", "--time", "-o", tmp_path / "loss.svg")
    assert (done.returncode, done.stdout) == (0, f"Wrote {tmp_path}/loss.svg\n")
    drawn = (tmp_path / "loss.svg").read_text()
    assert all(f"<!-- {said} -->" in drawn for said in ("lenet: train", "lenet: test", "Seconds", "accuracy"))


def test_logs_and_folders_that_were_fetched_are_drawn(trained: Path, tmp_path: Path, hpcbrew) -> None:
    for path in (trained, trained / "metrics.jsonl"):
        assert "accuracy" in hpcbrew("plot", path).stdout
    (tmp_path / "old.log").write_text("Iteration 5, loss = 0.25\nIteration 9, loss = 0.5\n")
    assert "9 Iteration" in hpcbrew("plot", tmp_path / "old.log").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "no job 'none' was submitted from here"),
        (["pictures"], "no job 'pictures' was submitted from here"),
        (["lenet"], "lenet: nothing was trained or tested yet"),
        (["train.log"], "train.log: contains no training iteration"),
        (["fetched", "-o", "x.xyz"], "x.xyz: cannot be written"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    lenet: JobRecord, tmp_path: Path, words: list[str], message: str, hpcbrew
) -> None:
    (tmp_path / "train.log").write_text("nothing\n")
    (tmp_path / "fetched").mkdir()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "fetched/metrics.jsonl").write_text(json.dumps(TRAIN[0]) + "\n")
    done = hpcbrew("plot", *words)
    assert (done.returncode, message in done.stderr) == (2, True)
