"""EntropyLoss of both forks."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_export, check_refused, net_of, slopes

OF_SCORES = 'type: "EntropyLoss" {}'.format
OF_PROBABILITIES = 'type: "EntropyLoss" entropy_param {{ {} }}'.format
P = np.array([[0.2, 0.8], [5e-4, 0.9995], [0.5, 1e-6]])


def entropy(divisor, axis=1):
    def formula(x):
        p = np.exp(x - x.max(axis, keepdims=True))
        p /= p.sum(axis, keepdims=True)
        return -np.sum(p * np.log(p)) / divisor

    return formula


class TestOfScores(Cases):
    cases = (
        Case("valid", OF_SCORES(""), {"x": (3, 4, 2)}, entropy(6)),
        Case("batch size", OF_SCORES("loss_param { normalization: BATCH_SIZE }"), {"x": (3, 4, 2)}, entropy(3)),
        Case("normalize false", OF_SCORES("loss_param { normalize: false }"), {"x": (3, 4, 2)}, entropy(3)),
        Case("none", OF_SCORES("loss_param { normalization: NONE }"), {"x": (3, 4)}, entropy(1)),
        Case("axis", OF_SCORES("softmax_param { axis: 2 }"), {"x": (3, 4, 2)}, entropy(12, 2)),
    )


def test_far_scores_are_finite():
    case = Case("far", OF_SCORES(""), {"x": np.array([[500.0, -500]])})
    assert case.run(*case.values())[0] == 0
    assert not np.any(slopes(OF_SCORES(""), x=[[500.0, -500]]))


@pytest.mark.parametrize("power", [1, 1.5])
def test_value_is_minus_the_sum_over_probabilities_that_count(power):
    case = Case("p", OF_PROBABILITIES(f"prob_pow: {power}"), {"p": P})
    counted = P[P >= 1e-5]
    assert_close(case.run(*case.values())[0], -np.sum(np.abs(counted**power * np.log(counted))))


@pytest.mark.parametrize("power", [1, 1.5])
def test_gradient_is_that_of_the_mean_entropy_above_the_threshold(power):
    (dp,) = slopes(OF_PROBABILITIES(f"prob_pow: {power} threshold: 0.001"), p=P)
    want = -(P ** (power - 1)) * (1 + power * np.log(P)) / 3
    assert_close(dp, np.where(P >= 0.001, want, 0))


def test_labels_beside_probabilities_are_not_used():
    case = Case("p", 'type: "EntropyLoss"', {"p": P, "labels": np.array([0.0, 1, 1])})
    counted = P[P >= 1e-5]
    assert_close(case.run(*case.values())[0], np.sum(counted * np.log(counted)))


def test_zeros_are_finite():
    (dp,) = slopes(OF_PROBABILITIES("threshold: 0.001"), p=[[0.0, 1.0]])
    assert_close(dp, np.array([[0.0, -1]]))


@pytest.mark.parametrize(("passes", "counts"), [(0, False), (1, False), (2, True)])
def test_the_first_passes_give_nothing(passes, counts):
    case = Case("p", OF_PROBABILITIES("iterations_num: 2"), {"p": P})
    made = case.net.forward([np.float32(passes)], {"p": P}, keep=True)
    assert (made.outputs["y0"] != 0) == counts
    assert list(made.updates.values()) == [passes + 1]


def test_step_lowers_for_cuda():
    check_export(Case("p", OF_PROBABILITIES("iterations_num: 2"), {"p": P}))


def test_a_loss_without_waiting_remembers_nothing():
    assert not net_of(OF_PROBABILITIES(""), {"p": (3, 2)}).recurrent_state


def test_wrong_configuration_is_refused():
    check_refused(OF_SCORES("loss_param { normalization: PRE_FIXED }"), {"x": (3, 4)}, "normalization is PRE_FIXED")
