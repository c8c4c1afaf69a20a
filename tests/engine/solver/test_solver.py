"""The loop: what is done when, and what the log says of it."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from support.tiny_solver import LEARNED, NET, MakeSolver, feed, parameter, train, values

from engine.solver.control.requests import Request
from engine.solver.report.caffe_log import Report
from engine.solver.report.progress_files import Records
from engine.solver.snapshot import formats
from engine.solver.solver import Outcome, Solver

TESTED = "momentum: 0.9 test_iter: 2 test_interval: 2 display: 2 max_iter: 4 snapshot: 2 "


def test_the_loop_goes_in_caffes_order(make_solver: MakeSolver, log):
    solver = make_solver(TESTED)
    log.clear()
    assert solver.solve() is Outcome.DONE
    told = [
        re.sub(r"[-+.\de]+ iter/s, [\d.]+s|(?<= = )[-+.\de]+(?=$| \()", "…", message)
        for message in log.messages
        if not message.startswith("Compil")  # a busy machine takes long
    ]
    assert [re.sub(r"\(\* 1 = .* loss\)", "(* 1 = … loss)", m) for m in told] == [
        "Solving tiny",
        "Learning Rate Policy: fixed",
        "Iteration 0, Testing net (#0)",
        "    Test net output #0: loss = … (* 1 = … loss)",
        "Iteration 0 (…/2 iters), loss = …",
        "    Train net output #0: loss = … (* 1 = … loss)",
        "Iteration 0, lr = …",
        "Snapshotting to binary proto file model_iter_2.caffemodel",
        "Snapshotting solver state to binary proto file model_iter_2.solverstate",
        "Iteration 2, Testing net (#0)",
        "    Test net output #0: loss = … (* 1 = … loss)",
        "Iteration 2 (…/2 iters), loss = …",
        "    Train net output #0: loss = … (* 1 = … loss)",
        "Iteration 2, lr = …",
        "Snapshotting to binary proto file model_iter_4.caffemodel",
        "Snapshotting solver state to binary proto file model_iter_4.solverstate",
        "Iteration 4, loss = …",
        "Iteration 4, Testing net (#0)",
        "    Test net output #0: loss = … (* 1 = … loss)",
        "Optimization Done.",
    ]


def test_the_loss_at_the_end_is_of_one_pass_and_what_is_large_is_told_of_it_and_of_tests(make_solver: MakeSolver, log):
    solver = make_solver(
        "iter_size: 2 max_iter: 1 display: 1 base_lr: 0 debug_info: true test_iter: 1 test_interval: 1 "
        "clip_gradients: 0 test_initialization: false"
    )
    solver.solve()
    shown = {iteration: float(loss) for iteration, loss in _found(r"^Iteration (\d+).*, loss = (.*)", log)}
    passes = [float(loss) for (loss,) in _found(r"\[Forward\] Layer loss, top blob loss data: (.*)", log)]
    assert len(passes) == 4  # two of the iteration, one after it, one of the test
    assert shown == {"0": pytest.approx(sum(passes[:2]) / 2, rel=1e-4), "1": pytest.approx(passes[2], rel=1e-4)}
    order = [m.split()[0] for m in log.messages if re.match(r"Gradient clipping|Iteration 0, lr|Iteration 1", m)]
    assert order == ["Iteration", "Gradient", "Iteration", "Iteration"]


def test_the_pass_after_training_counts_in_the_averages_of_batch_norm(make_solver: MakeSolver):
    normalized = NET % LEARNED + 'layer { name: "bn" type: "BatchNorm" bottom: "y" top: "n" }'
    solver = make_solver("max_iter: 1 display: 1 snapshot_after_train: false", normalized)
    solver.solve()
    assert values(solver)[-1] == pytest.approx(1 + 0.999)  # two passes' share in the moving average


@pytest.mark.parametrize("iter_size", [1, 2])
def test_the_pass_after_training_is_not_compiled_anew(iter_size: int, make_solver: MakeSolver, log):
    solver = make_solver(f"iter_size: {iter_size} momentum: 0.9")
    solver.step(1)
    log.clear()
    with jax.log_compiles():
        solver.loss_after_training()
    assert not [m for m in log.messages if m.startswith("Compiling jit(program)")]


def _found(pattern: str, log: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    return [m.groups() for said in log.messages if (m := re.search(pattern, said))]


def test_each_iteration_whose_gradients_were_clipped_says_so(make_solver: MakeSolver, log):
    make_solver('clip_gradients: 0 lr_policy: "multistep" gamma: 1 stepvalue: 2').step(3)
    assert [m.split()[0] for m in log.messages[-4:]] == ["Gradient", "Gradient", "MultiStep", "Gradient"]


def test_the_test_at_the_start_can_be_left_out(make_solver: MakeSolver, log):
    solver = make_solver(TESTED + "test_initialization: false")
    log.clear()
    solver.step(1)
    assert not [m for m in log.messages if "Testing net" in m]


def test_average_loss_is_the_mean_of_the_last_ones(make_solver: MakeSolver):
    solver = make_solver("momentum: 0.9 average_loss: 3")
    losses = []
    for k in range(5):
        feed(solver, k)
        solver.step(1)
        losses.append(float(solver.state.losses[-1]))
    assert solver.smoothed_loss() == pytest.approx(np.mean(losses[-3:]))


def test_iter_size_sums_several_batches(make_solver: MakeSolver):
    """Two equal batches make the same step as one."""
    once, twice = make_solver("momentum: 0.9"), make_solver("momentum: 0.9 iter_size: 2")
    train(once, 2)
    train(twice, 2)
    for a, b in zip(values(once), values(twice), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", [7, 0, 2**40])
def test_the_same_seed_gives_the_same_run(seed, make_solver: MakeSolver):
    runs = [make_solver(f"momentum: 0.9 random_seed: {seed}") for _ in range(2)]
    for run in runs:
        train(run, 2)
    for a, b in zip(values(runs[0]), values(runs[1]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("request_", "outcome"), [(Request.STOP, Outcome.STOPPED), (Request.YIELD, Outcome.CONTINUES)])
def test_a_request_ends_the_run_with_a_snapshot(request_, outcome, make_solver: MakeSolver, tmp_path: Path):
    solver = make_solver("momentum: 0.9 test_iter: 3 test_interval: 1")
    solver.requests.add(request_)
    assert solver.solve() is outcome
    assert (tmp_path / f"model_iter_{solver.iter}.solverstate").exists()


def test_a_snapshot_can_be_asked_for(make_solver: MakeSolver, tmp_path: Path):
    solver = make_solver()
    solver.requests.add(Request.SNAPSHOT)
    solver.step(2)
    assert solver.iter == 2
    assert formats.latest("model") == Path("model_iter_1.solverstate")


def test_yielding_snapshots_even_where_nothing_else_does(make_solver: MakeSolver, tmp_path: Path):
    solver = make_solver("snapshot_after_train: false")
    solver.requests.add(Request.YIELD)
    assert solver.solve() is Outcome.CONTINUES
    assert (tmp_path / "model_iter_1.solverstate").exists()


@pytest.mark.parametrize("stage", range(3))
def test_dying_while_writing_leaves_the_snapshot_before(stage, make_solver: MakeSolver, monkeypatch, tmp_path: Path):
    solver = make_solver()
    train(solver, 1)
    solver.snapshot()
    train(solver, 2)
    calls = iter(range(3))

    def die(original):
        def write(*args):
            if next(calls) == stage:
                raise KeyboardInterrupt
            return original(*args)

        return write

    monkeypatch.setattr(formats.binary, "write", die(formats.binary.write))
    monkeypatch.setattr(formats, "replace", die(formats.replace))
    with pytest.raises(KeyboardInterrupt):
        solver.snapshot()
    assert formats.latest("model") == Path("model_iter_1.solverstate")
    again = make_solver()
    again.restore("model_iter_1.solverstate")


def test_what_a_killed_process_left_half_written_goes(make_solver: MakeSolver, tmp_path: Path):
    left = tmp_path / ".model_iter_0.caffemodel.0123abcd.tmp"
    others = tmp_path / ".model_iter_10.caffemodel.0123abcd.tmp"
    left.touch()
    others.touch()
    make_solver().snapshot()
    assert (left.exists(), others.exists()) == (False, True)


def test_records_hold_every_test_and_the_losses_between_displays(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = Records(tmp_path / "run")
    Solver(parameter(TESTED), report=Report(records)).solve()
    entries = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [(e["phase"], e["iteration"]) for e in entries] == [
        ("test", 0), ("train", 0), ("train", 1), ("test", 2), ("train", 2), ("train", 3), ("test", 4),
    ]  # fmt: skip
    assert entries[1]["lr"] == pytest.approx(0.1)
    assert entries[1]["outputs"] == {"loss": pytest.approx(entries[1]["loss"])}
    progress = json.loads((tmp_path / "run/progress.json").read_text())
    assert (progress["iteration"], progress["max_iter"]) == (4, 4)
    assert progress["memory_bytes"] > 0
    assert progress.keys() == {
        "iteration", "max_iter", "loss", "lr", "images_per_second", "seconds_left", "memory_bytes", "time", "outputs",
        "began", "tested", "best", "diverged",
    }  # fmt: skip


def test_multistep_says_when_it_lowers_the_rate(make_solver: MakeSolver, log):
    solver = make_solver('lr_policy: "multistep" gamma: 0.1 stepvalue: 1 stepvalue: 2 display: 2')
    log.clear()
    train(solver, 3)
    told = [m for m in log.messages if "MultiStep" in m or "lr = " in m or ", loss = " in m]
    assert [m.partition(" (")[0] for m in told] == [
        "Iteration 0",
        "Iteration 0, lr = 0.1",
        "MultiStep Status: Iteration 1, step = 1",
        "Iteration 2",
        "MultiStep Status: Iteration 2, step = 2",
        "Iteration 2, lr = 0.001",
    ]
