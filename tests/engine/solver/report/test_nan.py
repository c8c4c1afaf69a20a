"""Which layer made the first number that is none, forward or else backward."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from support.small_nets import SMALL, made
from support.tiny_solver import feed, parameter

from engine.errors import DivergedError
from engine.solver.options import TrainOptions
from engine.solver.report import nan
from engine.solver.solver import Solver


def _flags(*, values: str | None = None, grad: int | None = None) -> tuple:
    """The net, and `nan.finite` of a pass whose top of that name, and whose gradient of that number, hold an ∞."""
    net = made(SMALL)
    tops = {v: jnp.where(v.blob == values, jnp.inf, jnp.ones(net.shapes[v])) for tops in net.tops for v in tops}
    grads = [jnp.where(k == grad, jnp.nan, jnp.ones(p.shape)) for k, p in enumerate(net.params)]
    return net, nan.finite(net, tops, grads)


def test_there_is_a_flag_for_each_layer_and_each_gradient():
    net, flags = _flags()
    assert np.asarray(flags).tolist() == [True] * (len(net.layers) + len(net.params))


def test_the_first_layer_forward_is_named():
    assert nan.where(*_flags(values="a", grad=0)) == (
        'layer "a" (InnerProduct) was the first to make a number that is not finite.'
    )


def test_without_one_the_last_gradient_is_named_which_comes_first_backward():
    assert nan.where(*_flags(grad=3)) == 'the gradient of layer "b" was the first with a number that is not finite.'


def _solver(settings: str, kind: str) -> Solver:
    solver = Solver(parameter(settings), options=TrainOptions(nan=kind))
    feed(solver, 0)
    return solver


@pytest.mark.parametrize("iter_size", [1, 2])
def test_nan_names_the_layer_that_made_it_first(iter_size, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    solver = _solver(f"iter_size: {iter_size} momentum: 0.9", "stop")
    solver.step(2)
    index = next(k for k, p in enumerate(solver.net.params) if (p.layer, p.index) == ("ip2", 1))
    solver.params = [p.at[1].set(np.inf) if k == index else p for k, p in enumerate(solver.params)]
    with pytest.raises(
        DivergedError, match=r'at iteration 2: layer "ip2" \(InnerProduct\) was the first.*Lower base_lr'
    ):
        solver.step(1)


def test_nan_may_be_no_more_than_a_warning(tmp_path, monkeypatch, log):
    monkeypatch.chdir(tmp_path)
    solver = _solver("base_lr: 1e38 weight_decay: 1e38", "warn")
    solver.step(3)
    assert solver.iter == 3
    assert re.search(r'Iteration 2: layer "ip1" .* Its loss is nan', log.text)


def test_a_loss_that_is_no_number_stops_a_run_that_looks_at_losses_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    solver = _solver("base_lr: 1e38 weight_decay: 1e38", "loss")
    with pytest.raises(DivergedError, match=r"^The training diverged at iteration 1: Its loss is nan\. Lower base_lr"):
        solver.step(9)
