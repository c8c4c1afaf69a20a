"""L1Loss, of NVIDIA's branch and of FlowNet, and LpqLoss."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_refused, slopes

AB = {"a": (2, 3, 4), "b": (2, 3, 4)}
L1 = 'type: "L1Loss" l1_loss_param {{ {} }}'.format
LPQ = 'type: "LpqLoss" lpq_loss_param {{ {} }}'.format


def l2(d, divisor=2, scale=1, epsilon=0.01, plateau=0):
    square = scale * (d**2).sum(1)
    return np.sqrt(np.where(square < plateau**2, 0, square) + epsilon).sum() / divisor


def lpq(d, p, q, at_p=0.0, at_q=0.01):
    return ((((np.abs(d) + at_p) ** p).sum(1) + at_q) ** q).sum() / 2


class TestCases(Cases):
    cases = (
        Case("nvidia", 'type: "L1Loss"', AB, lambda a, b: np.abs(a - b).sum() / 2),
        Case("l1", L1(""), AB, lambda a, b: np.abs(a - b).sum() / 2),
        Case("l1 of one", L1("l2_per_location: true epsilon: 0.1"), {"a": (2, 3, 4)}, lambda a: l2(a, epsilon=0.1)),
        Case("l2", L1("l2_per_location: true"), AB, lambda a, b: l2(a - b)),
        Case("l2, far", L1("l2_per_location: true plateau: 2"), AB, lambda a, b: l2(a - b, plateau=2)),
        Case(
            "l2, by entries",
            L1("l2_per_location: true normalize_by_num_entries: true l2_prescale_by_channels: true"),
            AB,
            lambda a, b: l2(a - b, divisor=8, scale=1 / 3),
        ),
        Case("plateau", L1("plateau: 1"), AB, lambda a, b: (np.abs(a - b) * (np.abs(a - b) >= 1)).sum() / 2),
        Case("lpq", LPQ("p: 2 q: 0.4"), AB, lambda a, b: lpq(a - b, 2, 0.4)),
        Case(
            "lpq, shifted",
            LPQ("p: 1.5 q: 0.5 p_epsilon: 0.1 q_epsilon: 0.2"),
            AB,
            lambda a, b: lpq(a - b, 1.5, 0.5, 0.1, 0.2),
        ),
    )


@pytest.mark.parametrize("layer", [L1("normalize_by_num_entries: true"), LPQ("p: 0.5 q: 1 q_epsilon: 0")])
def test_nan_is_left_out(layer):
    a, b = np.ones((2, 1, 2)), np.zeros((2, 1, 2))
    b[0, 0, 0] = np.nan
    case = Case("nan", layer, {"a": a, "b": b})
    assert_close(case.run([], case.values()[1])[0], 1 if "l1" in layer else 1.5)
    for gradient in slopes(layer, a=a, b=b):
        assert np.all(np.isfinite(gradient))
        assert gradient[0, 0, 0] == 0


def test_p_and_q_change_with_the_passes():
    layer = LPQ("p: 1 q: 1 p: 2 q: 1 pq_episode_starts_at_iter: 0 pq_episode_starts_at_iter: 1 q_epsilon: 0")
    net = Case("episodes", layer, {"a": (1, 1, 1)}).net
    params, found = net.init(seed=0), []
    for _ in range(3):
        passed = net.forward(params, {"a": np.full((1, 1, 1), 3, np.float32)}, jax.random.key(0))
        params = [passed.updates.get(k, p) for k, p in enumerate(params)]
        found.append(float(passed.loss))
    assert found == [3, 9, 9]


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (L1(""), {**AB, "b": (2, 3, 5)}, r"must be \(N, C, …\), of one shape"),
        ('type: "L1Loss"', {**AB, "b": (2, 3, 5)}, "they need as many values"),
        (LPQ("p: 2"), AB, "has 0 pq_episode_starts_at_iter, 1 p and 0 q"),
        (LPQ("p: -2 q: 1"), AB, r"p is \[-2.0\], .* powers must be above 0"),
        (LPQ("p: 2 q: inf"), AB, "powers must be above 0"),
        (LPQ("p: 2 q: 1 p_epsilon: -1"), AB, "the epsilons 0 or more"),
        (LPQ("p: 2 q: 1 pq_episode_starts_at_iter: 5"), AB, "must begin with 0 and increase"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
