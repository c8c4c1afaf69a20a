"""Stopped anywhere and resumed: the same parameters, bit for bit, as of a run that went on."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.tiny_solver import MakeSolver, values

from engine.data.datum import raw
from engine.data.lmdb_writer import LMDBWriter
from engine.errors import SnapshotError
from engine.net import sized
from engine.net.sized import VARIED
from engine.solver.control.requests import Request
from engine.solver.solver import Outcome, Solver

NET = """
name: "random"
layer { name: "d" type: "Data" top: "x" top: "t" include { phase: TRAIN }
  transform_param { crop_size: 5 mirror: true scale: 0.00390625 }
  data_param { source: "train_db" batch_size: 3 backend: LMDB } }
layer { name: "d" type: "Data" top: "x" top: "t" include { phase: TEST }
  transform_param { crop_size: 5 scale: 0.00390625 } data_param { source: "test_db" batch_size: 3 backend: LMDB } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h"
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "t" top: "accuracy" include { phase: TEST } }
"""
TYPES = {
    "SGD": "momentum: 0.9 weight_decay: 0.001",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "",
    "RMSProp": "",
    "AdaDelta": "momentum: 0.95 delta: 1e-6",
    "Adam": "momentum: 0.9",
}
SEEDLESS = "random_seed: -1 "


@pytest.fixture(autouse=True)
def _databases(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for name, size in (("train_db", 10), ("test_db", 7)):
        with LMDBWriter(tmp_path / name) as db:
            for i in range(size):
                picture = rng.integers(0, 256, (1, 7, 7), np.uint8)
                db.put(b"%08d" % i, raw(picture, i % 4).SerializeToString())


IMAGES = """
layer { name: "d" type: "ImageData" top: "x" top: "t" transform_param { crop_size: 5 mirror: true scale: 0.00390625 }
  image_data_param { source: "list.txt" batch_size: 3 shuffle: true rand_skip: 5 is_color: false new_height: 8
    new_width: 9 } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "y"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""


def _settings(kind: str) -> str:
    return SEEDLESS + f'type: "{kind}" {TYPES[kind]} lr_policy: "step" gamma: 0.5 stepsize: 4 '


def _run(make_solver: MakeSolver, settings: str, until: int, state: Path | None = None) -> Solver:
    solver = make_solver(settings, NET)
    if state is not None:
        solver.restore(state)
    with solver:
        solver.step(until - solver.iter)
    return solver


def _assert_same(mine: Solver, theirs: Solver) -> None:
    for a, b in zip(values(mine), values(theirs), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(mine.state.history, theirs.state.history, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("iter_size", [1, 2])
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in ("SGD", "Adam") else [pytest.mark.slow]) for kind in TYPES]
)  # one array of history for each parameter, and two
def test_resumed_run_equals_the_one_that_went_on(kind: str, iter_size: int, make_solver: MakeSolver):
    settings = _settings(kind) + f"iter_size: {iter_size}"
    with make_solver(settings, NET) as through:
        through.step(5)
        state = through.snapshot().state
        through.step(4)
    _assert_same(_run(make_solver, settings, 9, state), through)


@pytest.mark.parametrize("stop", [1, 4])  # within an epoch of 7 pictures, and in the next but one
def test_shuffled_pictures_random_crops_and_iter_size_go_on_exactly(stop: int, make_solver: MakeSolver, tmp_path: Path):
    rng = np.random.default_rng(2)
    for i in range(7):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (10, 12), np.uint8))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i % 4}\n" for i in range(7)))
    settings = _settings("Nesterov") + "iter_size: 2"
    with make_solver(settings, IMAGES) as through:
        through.step(stop)
        state = through.snapshot().state
        through.step(4)
    with make_solver(settings, IMAGES) as resumed:
        resumed.restore(state)
        resumed.step(4)
    _assert_same(resumed, through)


SIZES = """
layer { name: "d" type: "ImageData" top: "x" top: "t" transform_param { scale: 0.00390625 }
  image_data_param { source: "list.txt" batch_size: 1 } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE global_pooling: true } }
layer { name: "ip" type: "InnerProduct" bottom: "p" top: "y"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""


@pytest.mark.parametrize(
    ("iter_size", "order", "first"), [(1, "00121", "1;1x3x9x8"), (1, "0121", VARIED), (2, "0121", VARIED)]
)
def test_sizes_that_came_often_are_compiled_as_before(
    iter_size, order, first, make_solver: MakeSolver, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(sized, "OFTEN", 3)
    rng = np.random.default_rng(3)
    for i, size in enumerate([(9, 8), (7, 10), (8, 7)]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (*size, 3), np.uint8))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {label % 4}\n" for label, i in enumerate(order)))
    settings = _settings("SGD") + f"iter_size: {iter_size}"
    with make_solver(settings, SIZES) as through:
        through.step(5)
        state = through.snapshot().state
        through.step(4)
    with make_solver(settings, SIZES) as resumed:
        resumed.restore(state)
        resumed.step(4)
    _assert_same(resumed, through)
    assert resumed.run.uses.counts == through.run.uses.counts
    assert next(iter(through.run.uses.counts)) == next(iter(resumed.run.uses.counts)) == first


def test_tests_and_averaged_loss_go_on_too(make_solver: MakeSolver):
    settings = _settings("SGD") + "average_loss: 4 test_iter: 2 test_interval: 100 test_initialization: false"
    with make_solver(settings, NET) as through:
        through.step(3)
        through.test_all()
        state = through.snapshot().state
        through.step(1)
        want = through.test(0), through.smoothed_loss()
    with make_solver(settings, NET) as resumed:
        resumed.restore(state)
        resumed.step(1)
        assert (resumed.test(0), resumed.smoothed_loss()) == want


def test_a_run_that_yields_is_continued_to_the_same_end(make_solver: MakeSolver):
    settings = _settings("SGD") + "max_iter: 8 test_iter: 2 test_interval: 2"
    with make_solver(settings, NET) as through:
        seed = through.state.seed
        assert through.solve() is Outcome.DONE
    settings = settings.replace(SEEDLESS, f"random_seed: {seed} ")
    with make_solver(settings, NET) as first:
        first.step(3)
        first.requests.add(Request.YIELD)
        assert first.solve() is Outcome.CONTINUES
        assert first.iter == 4
    with make_solver(settings, NET) as second:
        second.restore("model_iter_4.solverstate")
        assert second.solve() is Outcome.DONE
    _assert_same(second, through)


def test_without_the_resume_file_caffes_resume_is_left_and_said(make_solver: MakeSolver, caplog):
    with make_solver(_settings("SGD"), NET) as solver:
        solver.step(2)
        files = solver.snapshot()
    files.resume.unlink()
    with make_solver(_settings("SGD"), NET) as again:
        again.restore(files.state)
        assert again.iter == 2
    assert "has no .resume.json beside it: the data is read from its first record again" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, n: (s.replace('"SGD"', '"Nesterov"'), n), "type was SGD and is Nesterov"),
        (lambda s, n: (s + "iter_size: 3", n), "iter_size was 1 and is 3"),
        (lambda s, n: (s, n.replace("batch_size: 3", "batch_size: 5")), r'"x" was of shape \[3, 1, 5, 5\] and is \[5,'),
        (lambda s, n: (s, n.replace("xavier", "msra")), 'layer "ip1" has changed; layer "ip2" has changed'),
        (
            lambda s, n: (s, n.replace('name: "drop"', 'name: "dropped"')),
            'layer "drop" is gone; layer "dropped" is new',
        ),
    ],
)
def test_another_run_is_refused_with_every_difference_or_allowed(change, message, make_solver: MakeSolver):
    with make_solver(_settings("SGD"), NET) as solver:
        state = solver.snapshot().state
    with make_solver(*change(_settings("SGD"), NET)) as other:
        with pytest.raises(SnapshotError, match=f"set up differently: {message}"):
            other.restore(state)
        other.restore(state, changed=True)


def test_the_data_may_have_moved(make_solver: MakeSolver, tmp_path: Path):
    with make_solver(_settings("SGD"), NET) as solver:
        solver.step(2)
        state = solver.snapshot().state
    (tmp_path / "train_db").rename(tmp_path / "elsewhere")
    with make_solver(_settings("SGD"), NET.replace("train_db", "elsewhere")) as again:
        again.restore(state)
        again.step(1)
