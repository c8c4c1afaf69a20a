"""debug_info: Caffe's lines, and the numbers in them."""

import re

import numpy as np
import pytest
from support.tiny_solver import MakeSolver, feed, train, values

from ..test_sinks import FILTERED

SETTINGS = "debug_info: true momentum: 0.9 display: 2 "


def _told(log: pytest.LogCaptureFixture) -> list[tuple[str, float]]:
    found = (re.fullmatch(r"    (\[\w+\] .*): (\S+)", m) for m in log.messages)
    return [(m[1], float(m[2])) for m in found if m]


def _mean(x: np.ndarray) -> float:
    return float(np.abs(x).mean())


@pytest.mark.parametrize("iter_size", [1, 2])
def test_every_line_of_a_pass_says_what_numpy_computes(iter_size: int, make_solver: MakeSolver, log):
    solver = make_solver(SETTINGS + f"base_lr: 0.5 iter_size: {iter_size}")
    feed(solver, 0)
    x, t = (solver.batches.values[name].copy() for name in "xt")
    w1, b1, w2, b2 = values(solver)
    log.clear()
    solver.step(1)

    h = x @ w1.T + b1
    a = np.tanh(h)
    e = np.exp(a @ w2.T + b2)
    p = e / e.sum(1, keepdims=True)
    dy = (p - np.eye(4)[t.astype(int)]) / 8
    da = dy @ w2
    dh = da * (1 - a * a)
    grads = [dh.T @ x, dh.sum(0), dy.T @ a, dy.sum(0)]
    loss = -np.log(p[np.arange(8), t.astype(int)]).mean()
    want = []
    for k in range(1, iter_size + 1):
        want += [
            ("[Forward] Layer in, top blob x data", _mean(x)),
            ("[Forward] Layer in, top blob t data", _mean(t)),
            ("[Forward] Layer ip1, top blob h data", _mean(h)),
            ("[Forward] Layer ip1, param blob 0 data", _mean(w1)),
            ("[Forward] Layer ip1, param blob 1 data", _mean(b1)),
            ("[Forward] Layer tanh, top blob h data", _mean(a)),
            ("[Forward] Layer ip2, top blob y data", _mean(a @ w2.T + b2)),
            ("[Forward] Layer ip2, param blob 0 data", _mean(w2)),
            ("[Forward] Layer ip2, param blob 1 data", _mean(b2)),
            ("[Forward] Layer loss, top blob loss data", loss),
            ("[Backward] Layer loss, bottom blob y diff", _mean(dy)),
            ("[Backward] Layer ip2, bottom blob h diff", _mean(da)),
            ("[Backward] Layer ip2, param blob 0 diff", k * _mean(grads[2])),
            ("[Backward] Layer ip2, param blob 1 diff", k * _mean(grads[3])),
            ("[Backward] Layer tanh, bottom blob h diff", _mean(dh)),
            ("[Backward] Layer ip1, param blob 0 diff", k * _mean(grads[0])),
            ("[Backward] Layer ip1, param blob 1 diff", k * _mean(grads[1])),
        ]
    told = _told(log)
    assert [name for name, _ in told[: len(want)]] == [name for name, _ in want]
    assert [x for _, x in told[: len(want)]] == pytest.approx([x for _, x in want], rel=1e-4)

    norms = next(m for m in log.messages if "All net params" in m)
    params = [w1, b1, w2, b2]
    figures = [float(x) for x in re.findall(r"[-+.\de]+(?=[,)])", norms.partition("norm")[2])]
    assert re.match(r"    \[Backward\] All net params \(data, diff\): L1 norm = \(.*\); L2 norm = \(.*\)$", norms)
    assert figures == pytest.approx(
        [sum(np.abs(v).sum() for v in vs) for vs in (params, grads)]
        + [sum((v * v).sum() for v in vs) ** 0.5 for vs in (params, grads)],
        rel=1e-4,
    )
    assert "[Update]" not in log.text  # which Caffe 1.0 has words for, and never says


def test_only_iterations_that_are_shown_tell(make_solver: MakeSolver, log):
    solver = make_solver(SETTINGS)
    solver.step(1)
    log.clear()
    solver.step(1)
    assert not _told(log)


def test_the_parameters_are_those_of_a_run_without(make_solver: MakeSolver):
    loud, quiet = make_solver(SETTINGS), make_solver("momentum: 0.9 display: 2")
    for solver in (loud, quiet):
        train(solver, 3)
    for a, b in zip(values(loud), values(quiet), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_sizes_that_depend_on_data_are_told_too(make_solver: MakeSolver, log):
    solver = make_solver(SETTINGS, FILTERED)
    feed(solver, 0)
    solver.step(1)
    told = dict(_told(log))
    assert told["[Backward] Layer filter, bottom blob y diff"] < told["[Backward] Layer loss, bottom blob fy diff"]


def test_the_averages_of_batch_norm_have_a_gradient_of_0(make_solver: MakeSolver, log):
    normalized = """
        layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 4 dim: 2 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 } }
        layer { name: "bn" type: "BatchNorm" bottom: "y" top: "n" }
        layer { name: "loss" type: "EuclideanLoss" bottom: "n" bottom: "t" top: "loss" }
        """
    make_solver("debug_info: true display: 1", normalized).step(1)
    told = [m for m in log.messages if "[Backward] Layer bn" in m]
    assert told[1:] == [f"    [Backward] Layer bn, param blob {n} diff: 0" for n in range(3)]
