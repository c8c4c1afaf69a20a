"""Clipping, normalisation and decay, each against its formula."""

import numpy as np
import pytest

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver import gradients, updates
from engine.solver.gradients import Rates, Settings

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" param { decay_mult: 2 } param { lr_mult: 3 decay_mult: 0 }
  inner_product_param { num_output: 2 } }
"""
NORMALIZED = NET + 'layer { name: "n" type: "BatchNorm" bottom: "y" top: "n" }'
W, B = np.array([[1, -2], [0, 4]], np.float32), np.array([5, -6], np.float32)
GW, GB = np.array([[3, 0], [0, 4]], np.float32), np.array([0, 12], np.float32)  # L2 norm 13
ZEROS = [np.uint32(0)] * 2


def _steps(**settings) -> list[np.ndarray]:
    """What is taken off weight and bias with plain SGD at rate 1."""
    net = Net.from_param(text.parse(NET, pb.NetParameter))
    rule = updates.from_solver(pb.SolverParameter())
    treatment = Settings.from_solver(pb.SolverParameter(**settings))
    rates = Rates(np.float32(1), np.float32(0))
    done = gradients.apply(rule, treatment, net.params, [W, B], [GW, GB], rule.init([W, B]), rates, ZEROS)
    np.testing.assert_allclose(done.params[0], W - np.asarray(done.steps[0]))
    return [np.asarray(s) for s in done.steps]


def test_learning_rate_is_multiplied_by_lr_mult():
    w, b = _steps()
    np.testing.assert_array_equal(w, GW)
    np.testing.assert_array_equal(b, 3 * GB)


def test_l2_adds_the_parameter_times_decay_mult():
    w, b = _steps(weight_decay=0.5)
    np.testing.assert_allclose(w, GW + 0.5 * 2 * W)
    np.testing.assert_allclose(b, 3 * GB)


def test_l1_adds_the_sign():
    w, _ = _steps(weight_decay=0.5, regularization_type="L1")
    np.testing.assert_allclose(w, GW + 0.5 * 2 * np.sign(W))


@pytest.mark.parametrize(("limit", "scale"), [(6.5, 0.5), (13.0, 1.0), (20.0, 1.0), (0.0, 0.0)])
def test_clipping_scales_all_gradients_together(limit, scale):
    w, b = _steps(clip_gradients=limit)
    np.testing.assert_allclose(w, scale * GW)
    np.testing.assert_allclose(b, 3 * scale * GB)


def test_the_sum_over_iter_size_is_clipped_before_it_is_divided():
    w, _ = _steps(clip_gradients=6.5, iter_size=2)
    np.testing.assert_allclose(w, 0.5 * GW / 2)


def test_decay_is_added_after_clipping():
    w, _ = _steps(clip_gradients=6.5, weight_decay=0.5)
    np.testing.assert_allclose(w, 0.5 * GW + W)


def test_what_is_frozen_stays_where_a_gradient_of_0_is_divided_by_0():
    net = Net.from_param(text.parse(NET.replace("decay_mult: 2", "lr_mult: 0"), pb.NetParameter))
    p = pb.SolverParameter(type="AdaGrad", delta=0)
    rule, zero = updates.from_solver(p), np.zeros_like(W)
    rates = Rates(np.float32(1), np.float32(0))
    given = [W, B], [zero, GB], rule.init([W, B]), rates, ZEROS
    done = gradients.apply(rule, Settings.from_solver(p), net.params, *given)
    np.testing.assert_array_equal(done.params[0], W)


def test_state_is_what_its_layer_made_it():
    """Its history is that of Caffe, zeros: nothing is to be computed, nor compiled, for it."""
    net = Net.from_param(text.parse(NORMALIZED, pb.NetParameter))
    rule = updates.from_solver(pb.SolverParameter(momentum=0.9))
    given = [np.full(param.shape, 2, np.float32) for param in net.params]
    history, zeros = rule.init(given), [np.uint32(0)] * len(given)
    treatment = Settings.from_solver(pb.SolverParameter(weight_decay=0.5))
    rates = Rates(np.float32(1), np.float32(0.9))
    done = gradients.apply(rule, treatment, net.params, given, given, history, rates, zeros)
    for k, param in enumerate(net.params):
        assert (done.params[k] is given[k]) is (done.history[k] is history[k]) is (param.layer == "n")
        assert np.any(done.steps[k]) == (param.layer != "n")
