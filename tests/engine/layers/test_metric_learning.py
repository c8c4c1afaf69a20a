"""CenterLoss, TripletLoss, LabelSpecificAdd, ChannelScale, and the Normalize of face nets."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_export, check_formula, check_refused, slopes

from engine.proto import caffe_pb2 as pb

IDS = np.array([0.0, 2, 2])
XL = {"x": (3, 4), "labels": IDS}
APN = {"a": (4, 3), "p": (4, 3), "n": (4, 3)}
IMAGE = {"x": (2, 3, 2, 2)}
CENTER = 'type: "CenterLoss" loss_weight: 0.5 center_loss_param {{ num_output: 3 {} }}'.format
TRIPLET = 'type: "TripletLoss" triplet_loss_param {{ {} }}'.format
NORMALIZE = 'type: "Normalize" normalize_param {{ {} }}'.format
ADD = 'type: "LabelSpecificAdd" label_specific_add_param {{ {} }}'.format


def triplet(margin):
    def formula(a, p, n):
        return np.maximum(0, margin + ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1)).sum() / 8

    return formula


def norm(x, absolute=False):
    return (np.abs(x).sum(1, keepdims=True) if absolute else np.sqrt((x**2).sum(1, keepdims=True) + 1e-6)) + 0 * x[
        :, :1
    ]


def lifted(margin):
    def formula(x, labels):
        d = np.sqrt(((x[:, None] - x) ** 2).sum(2))
        terms = []
        for i, j in zip(*np.triu_indices(len(x), 1), strict=True):
            if labels[i] == labels[j]:
                others = [np.exp(margin - d[a, k]) for a in (i, j) for k in range(len(x)) if labels[k] != labels[i]]
                terms.append(max(0, d[i, j] + np.log(sum(others))) ** 2)
        return sum(terms) / 2 / len(terms)

    return formula


PAIRS = {"x": (5, 3), "labels": np.array([0, 1, 0, 1, 1])}


class TestCases(Cases):
    cases = (
        Case("lifted", 'type: "LiftedStructSimilaritySoftmaxLoss"', PAIRS, lifted(1)),
        Case("triplet", TRIPLET(""), APN, triplet(1)),
        Case("triplet, wide", TRIPLET("margin: 4"), APN, triplet(4)),
        Case("normalize", NORMALIZE(""), IMAGE, lambda x: x / norm(x)),
        Case("normalize, l1", NORMALIZE('normalize_type: "L1"'), IMAGE, lambda x: x / norm(x, True)),
        Case("normalize rows", NORMALIZE(""), {"x": (2, 3)}, lambda x: (x / norm(x))[..., None, None]),
        Case(
            "channel scale",
            'type: "ChannelScale"',
            {**IMAGE, "s": (2, 2, 2)},
            lambda x, s: x * s[:, None],
        ),
        Case("the norm too", NORMALIZE("bp_norm: true"), IMAGE, lambda x: (x / norm(x), norm(x)), tops=2),
    )


@pytest.mark.parametrize("kind", ["L1", "L2"])
def test_center_loss_equals_the_formula(kind):
    def formula(x, labels, centers):
        d = x - centers[labels.astype(int)]
        return np.abs(d).sum() / 3 if kind == "L1" else (d**2).sum() / 6

    check_formula(Case(kind, CENTER(f'distance_type: "{kind}"'), XL, formula))


def test_a_step_of_center_loss_lowers_for_cuda():
    check_export(Case("step", CENTER(""), XL))


@pytest.mark.parametrize(("options", "times"), [("", 1), ('distance_type: "L2"', 2)])
def test_centers_move_towards_their_items_whatever_the_loss_weighs(options, times):
    """In happynear's, whose distance_type is, as often as a class has items."""
    case = Case("centers", CENTER(options), XL)
    (centers,), given = case.values()
    gradient = jax.grad(lambda c: case.net.forward([c], given).loss)(centers)
    d = centers[IDS.astype(int)] - given["x"]
    assert_close(gradient, [d[0] / 2, 0 * d[0], times * (d[1] + d[2]) / 3])


@pytest.mark.parametrize(
    ("phase", "options", "want"),
    [
        (pb.TRAIN, "bias: -0.5", [[0.5, 0.2], [1, 0.2]]),
        (pb.TEST, "bias: -0.5 transform_test: true", [[1, 0.2], [1, 0.2]]),
        (pb.TRAIN, "bias_base: 1 bias_gamma: 2 bias_power: 2 iteration: 1 bias_max: 7", [[8, 0.2], [1, 7.2]]),
        (pb.TRAIN, "bias_base: -3 bias_min: -0.5 bias_max: 7", [[0.5, 0.2], [1, 0.2]]),
    ],
)
def test_a_bias_is_added_at_the_own_class_where_it_leaves_the_score_positive(phase, options, want):
    case = Case(options, ADD(options), {"x": np.array([[1, 0.2]] * 2), "labels": np.array([0, 1])}, tops=2, phase=phase)
    state = [0 * p for p in case.values()[0]]
    assert_close(case.run(state, case.values()[1])[0], want)


def test_the_gradient_of_an_added_bias_is_that_of_its_bottom():
    (gradient,) = slopes(ADD("bias: -0.5"), x=[[1, 0.2], [1, 0.2]], labels=[0, 1])
    assert np.all(gradient == 1)


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        ('type: "CenterLoss"', XL, "the number of classes"),
        (CENTER('distance_type: "L3"'), XL, 'distance_type is "L3"'),
        (CENTER("axis: 0"), XL, "it must be 1, the axis after the batch"),
        (CENTER(""), {"x": (3, 4), "labels": (2,)}, "has 2 labels"),
        (TRIPLET(""), {**APN, "n": (4, 2)}, "equally many values"),
        (NORMALIZE('normalize_type: "max"'), IMAGE, 'must be "L1" or "L2"'),
        (NORMALIZE(""), {"x": (1, 1, 1, 1, 1)}, "1 to 4 axes"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_a_channel_scale_needs_a_value_for_each_place():
    check_refused(
        'type: "ChannelScale"', {**IMAGE, "s": (2, 3)}, r'"s" \[2, 3\]; the second needs one value for each position'
    )


def test_a_batch_without_pairs_or_others_has_no_loss_and_no_gradient():
    for labels in ([0, 1], [1, 1]):
        (gradient,) = slopes('type: "LiftedStructSimilaritySoftmaxLoss"', x=np.ones((2, 3)), labels=labels)
        assert np.array_equal(gradient, np.zeros((2, 3)))
