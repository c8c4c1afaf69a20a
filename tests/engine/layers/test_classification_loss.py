"""SoftmaxWithLoss, WeightedSoftmaxWithLoss, InfogainLoss, MultinomialLogisticLoss, HingeLoss, FocalLoss."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, Cases, assert_close, check_formula, check_refused, net_of, slopes

from engine.errors import LayerError
from engine.proto import binary
from engine.proto import caffe_pb2 as pb

LABELS = np.array([1, 0, 3, 2])
XT = {"x": (4, 5), "t": LABELS}
MAPS = np.random.default_rng(2).integers(0, 3, (2, 2, 2))
MAPS[0, 0] = 9
XM = {"x": (2, 3, 2, 2), "t": MAPS}
P = np.random.default_rng(0).uniform(0.1, 0.9, (4, 5))
H = np.random.default_rng(1).standard_normal((5, 5))
SOFTMAX = 'type: "SoftmaxWithLoss" '
INFOGAIN = 'type: "InfogainLoss" '
HINGE = 'type: "HingeLoss" '


def log_softmax(x, axis=1):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def softmax_loss(n, ignore=None, axis=1, infogain=None):
    """Divided by n, or by the number of labels that count."""

    def formula(x, t, *_):
        rows, t = np.moveaxis(log_softmax(x, axis), axis, -1).reshape(-1, x.shape[axis]), t.reshape(-1).astype(int)
        valid = t != ignore
        gains = np.eye(x.shape[axis]) if infogain is None else infogain
        return -np.sum(gains[t[valid]] * rows[valid]) / (n or max(1, valid.sum()))

    return formula


def hinge(power):
    def formula(x, t):
        own = np.arange(x[0].size) == t.reshape(-1, 1)
        return np.sum(np.maximum(0, 1 + np.where(own, -1, 1) * x.reshape(len(t), -1)) ** power) / len(t)

    return formula


CASES = [
    Case("softmax loss", SOFTMAX, XT, softmax_loss(4)),
    Case("softmax loss, labels of 4 axes", SOFTMAX, {"x": (4, 5), "t": LABELS.reshape(4, 1, 1, 1)}, softmax_loss(4)),
    Case("valid", SOFTMAX + "loss_param { ignore_label: 9 }", XM, softmax_loss(None, 9)),
    Case("full", SOFTMAX + "loss_param { ignore_label: 9 normalization: FULL }", XM, softmax_loss(8, 9)),
    Case("batch size", SOFTMAX + "loss_param { ignore_label: 9 normalization: BATCH_SIZE }", XM, softmax_loss(2, 9)),
    Case("none", SOFTMAX + "loss_param { ignore_label: 9 normalization: NONE }", XM, softmax_loss(1, 9)),
    Case("normalize true", SOFTMAX + "loss_param { ignore_label: 9 normalize: true }", XM, softmax_loss(None, 9)),
    Case("normalize false", SOFTMAX + "loss_param { ignore_label: 9 normalize: false }", XM, softmax_loss(2, 9)),
    Case("normalization wins", SOFTMAX + "loss_param { normalize: false normalization: NONE }", XT, softmax_loss(1)),
    Case("a class ignored", SOFTMAX + "loss_param { ignore_label: 0 }", XT, softmax_loss(3, 0)),
    Case(
        "all ignored",
        SOFTMAX + "loss_param { ignore_label: 7 }",
        {"x": (2, 5), "t": np.array([7, 7])},
        softmax_loss(1, 7),
    ),
    Case(
        "last axis",
        SOFTMAX + "softmax_param { axis: -1 }",
        {"x": (2, 2, 5), "t": LABELS.reshape(2, 2)},
        softmax_loss(None, axis=-1),
    ),
    Case("one class", SOFTMAX, {"x": (3, 1), "t": np.zeros(3)}, lambda x, t: 0.0),
    Case("no items", SOFTMAX, {"x": (0, 3), "t": (0,)}, lambda x, t: 0.0),
    Case("the softmax too", SOFTMAX, XT, lambda x, t: (softmax_loss(4)(x, t), np.exp(log_softmax(x))), tops=2),
    Case("infogain by a bottom", INFOGAIN, {**XT, "H": H}, softmax_loss(4, infogain=H)),
    Case("infogain of 4 axes", INFOGAIN, {**XT, "H": H.reshape(1, 1, 5, 5)}, softmax_loss(4, infogain=H)),
    Case(
        "infogain of maps",
        INFOGAIN + "loss_param { ignore_label: 9 normalization: FULL }",
        {**XM, "H": H[:3, :3]},
        softmax_loss(8, 9, infogain=H[:3, :3]),
    ),
    Case(
        "infogain, last axis",
        INFOGAIN + "infogain_loss_param { axis: -1 }",
        {"x": (2, 2, 5), "t": LABELS.reshape(2, 2), "H": H},
        softmax_loss(4, axis=-1, infogain=H),
    ),
    Case(
        "infogain and softmax",
        INFOGAIN,
        {**XT, "H": H},
        lambda x, t, h: (softmax_loss(4, infogain=h)(x, t), np.exp(log_softmax(x))),
        tops=2,
    ),
    Case(
        "multinomial",
        'type: "MultinomialLogisticLoss"',
        {"x": P, "t": LABELS},
        lambda x, t: -np.log(x[range(4), t.astype(int)]).mean(),
    ),
    Case(
        "multinomial of 4 axes",
        'type: "MultinomialLogisticLoss"',
        {"x": P.reshape(4, 5, 1, 1), "t": LABELS.reshape(4, 1)},
        lambda x, t: -np.log(x.reshape(4, 5)[range(4), t[:, 0].astype(int)]).mean(),
    ),
    Case("hinge", HINGE, XT, hinge(1)),
    Case("hinge squared", HINGE + "hinge_loss_param { norm: L2 }", XT, hinge(2)),
    Case("hinge of 3 axes", HINGE, {"x": (4, 2, 3), "t": LABELS}, hinge(1)),
]


def focal(n, weight, focus):
    """−Σ weight · focus(p) · log p / n over the labels other than 9."""

    def formula(x, t):
        rows, ids = np.moveaxis(log_softmax(x), 1, -1).reshape(-1, x.shape[1]), t.reshape(-1).astype(int)
        found = rows[ids != 9, ids[ids != 9]]
        return -np.sum(weight * focus(np.exp(found)) * found) / n

    return formula


FOCAL = 'type: "FocalLoss" focal_loss_param {{ {} }}'.format
IGNORED = "loss_param { ignore_label: 9 }"
CASES += [
    Case("focal loss", FOCAL(""), XT, focal(4, 0.25, lambda p: (1 - p) ** 2)),
    Case("focal loss, ignored", FOCAL("gamma: 1") + IGNORED, XM, focal(np.sum(MAPS != 9), 0.25, lambda p: 1 - p)),
    Case("cross entropy by focal loss", FOCAL("alpha: 1 gamma: 0"), XT, focal(4, 1, lambda p: 1)),
    Case("focal loss of faces", FOCAL("type: ORIGIN gamma: 3"), XT, focal(4, 1, lambda p: (1 - p) ** 3)),
    Case("1 + p", FOCAL("type: ONEADDP"), XT, focal(4, 1, lambda p: (1 + p) ** 2)),
]


def weighted(n, *by_class):
    """−Σ w[t] · v · log p[t] / n over the labels other than 9, v being 1 where no third bottom is."""

    def formula(x, t, v=None):
        rows, ids = np.moveaxis(log_softmax(x), 1, -1).reshape(-1, x.shape[1]), t.reshape(-1).astype(int)
        counts = ids != 9
        v = np.ones(len(ids)) if v is None else v.reshape(-1)
        return -np.sum(np.array(by_class)[ids[counts]] * v[counts] * rows[counts, ids[counts]]) / n

    return formula


WEIGHTED = 'type: "WeightedSoftmaxWithLoss" softmax_param {{ {} }}'.format
VALID = int(np.sum(MAPS != 9))
CASES += [
    Case("weight of a class", WEIGHTED("pos_cid: 3 pos_mult: 10"), XT, weighted(4, 1, 1, 1, 10, 1)),
    Case("a weight alone is class 1's", WEIGHTED("pos_mult: 0.5"), XT, weighted(4, 1, 0.5, 1, 1, 1)),
    Case(
        "weights of classes, maps",
        WEIGHTED("pos_cid: 2 pos_mult: 3 pos_cid: 0 pos_mult: 0.25") + IGNORED,
        XM,
        weighted(VALID, 0.25, 1, 3),
    ),
    Case(
        "weights of classes, by the batch's size",
        WEIGHTED("pos_cid: 1 pos_mult: 4") + "loss_param { ignore_label: 9 normalize: false }",
        XM,
        weighted(2, 1, 4, 1),
    ),
    Case("weights of labels", WEIGHTED(""), {**XT, "v": np.array([1, 0, 2.5, -1])}, weighted(4, *[1] * 5)),
    Case(
        "weights of labels, maps",
        WEIGHTED("") + IGNORED,
        {**XM, "v": np.linspace(0, 2, 8).reshape(2, 1, 2, 2)},
        weighted(VALID, 1, 1, 1),
    ),
    Case(
        "weighted, and the softmax",
        WEIGHTED("pos_mult: 2"),
        XT,
        lambda x, t: (weighted(4, 1, 2, 1, 1, 1)(x, t), np.exp(log_softmax(x))),
        tops=2,
    ),
]


class TestCases(Cases):
    cases = CASES


TWO = {"x": (4, 5), "t": (3,)}
LISTED = "loss_param { weight_by_label_freqs: true class_weighting: [1, 1, 1, 1, 2] }"
REFUSED = [
    (SOFTMAX + "loss_param { weight_by_label_freqs: true class_weighting: 1 }", XT, "1 class_weighting; give 5"),
    (SOFTMAX + 'softmax_param { normalize_type: "L3" }', XT, r'normalize_type "L3".*they can be "L1" and "L2"'),
    (SOFTMAX + 'softmax_param { normalize_type: "L2" axis: 0 }', {"x": (4, 5), "t": (5,)}, "first dimension"),
    (SOFTMAX + f'softmax_param {{ normalize_type: "L2" }} {LISTED}', XT, "weight_by_label_freqs has no effect"),
    (WEIGHTED("pos_cid: 5 pos_mult: 2"), XT, "pos_cid is 5, and its classes are 0 to 4"),
    (WEIGHTED("pos_cid: 0 pos_cid: 2 pos_mult: 2"), XT, "1 pos_mult and 2 pos_cid; give each class its weight"),
    (WEIGHTED(""), XT, "it has no weights: give it softmax_param"),
    (WEIGHTED("pos_cid: 2"), XT, "0 pos_mult and 1 pos_cid; give each class its weight"),
    (WEIGHTED("pos_mult: 2 pos_mult: 3"), XT, "2 pos_mult and 0 pos_cid"),
    (WEIGHTED(""), {**XT, "v": (3,)}, r'"v" has shape \[3\] and bottom "t" \[4\]; give each label one weight'),
    (SOFTMAX, {"x": (4, 0), "t": (4,)}, r"has no classes along axis 1"),
    (SOFTMAX, TWO, r'"x" has shape \[4, 5\] and bottom "t" \[3\].* first dimension'),
    (SOFTMAX, {"x": (2, 5, 3), "t": (2, 2)}, r"\[2, 2\] has 4 labels and .*\[2, 5, 3\] has 6 predictions of 5 classes"),
    (SOFTMAX + "softmax_param { axis: 2 }", XT, "axis 2 is not one of"),
    (SOFTMAX + "loss_weight: 1 loss_weight: 1", XT, "2 loss_weight for 1 tops"),
    (SOFTMAX, {"x": (4, 5)}, "1 bottoms and takes 2"),
    (INFOGAIN, XT, "it needs its matrix"),
    (INFOGAIN, {**XT, "H": (4, 4)}, r'"H" has shape \[4, 4\]; 5×5 is needed'),
    (INFOGAIN + "loss_param { normalize: true }", {**XT, "H": H}, "use normalization"),
    (INFOGAIN + 'infogain_loss_param { source: "nowhere.binaryproto" }', XT, "nowhere.binaryproto"),
    ('type: "MultinomialLogisticLoss"', {"x": (4, 5), "t": (4, 2)}, "8 labels"),
    (HINGE, {"x": (4, 5), "t": (4, 2)}, "8 labels"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_softmax_loss_is_finite_where_the_softmax_underflows():
    layer, x = SOFTMAX, [[0.0, 2000.0]]
    case = Case("far", layer, {"x": np.array(x), "t": np.zeros(1)})
    assert_close(case.net.forward([], case.values()[1]).loss, -np.log(np.finfo(np.float32).tiny))
    np.testing.assert_array_equal(slopes(layer, x=x, t=[0])[0], [[-1, 1]])


def test_multinomial_loss_keeps_its_floor_in_the_gradient():
    assert_close(slopes('type: "MultinomialLogisticLoss"', x=[[0.0, 1.0]], t=[0])[0], np.array([[-1e20, 0]]))


def test_focal_losses_of_faces_have_the_gradient_of_alpha_1():
    """happynear's divides by 1 − p where (alpha − p)^gamma stands: at x = 0 of 2 classes, alpha 0.25, gamma 1."""
    (dx,) = slopes(FOCAL("type: ORIGIN alpha: 0.25 gamma: 1"), x=np.zeros((1, 2)), t=np.zeros(1))
    slope = -0.25 * (1 + np.log(2))
    assert_close(dx, [[-0.5 * slope, 0.5 * slope]])


def test_focal_loss_has_a_gradient_where_nothing_is_lost():
    (dx,) = slopes(FOCAL("gamma: 0.5"), x=np.array([[200.0, 0]]), t=np.zeros(1))
    assert_close(dx, [[0, 0]])


def test_hinge_loss_has_no_gradient_at_its_kink():
    np.testing.assert_array_equal(slopes(HINGE, x=[[1.0, -1.0]], t=[0])[0], [[0, 0]])


def test_loss_weights_of_both_tops_of_softmax_loss_count():
    net = net_of(SOFTMAX + "loss_weight: 2 loss_weight: 0.5", XT, tops=2)
    x = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    assert_close(net.forward([], {"x": x, "t": LABELS}).loss, 2 * softmax_loss(4)(x, LABELS) + 0.5 * 4)


def test_a_loss_may_name_no_top():
    net = net_of(SOFTMAX, XT, tops=0)
    assert net.output_names == []
    assert np.isfinite(net.forward([], {"x": np.ones((4, 5), np.float32), "t": LABELS}).loss)


def test_infogain_reads_its_matrix_from_a_file(tmp_path):
    path = tmp_path / "H.binaryproto"
    binary.write(path, binary.from_array(H.astype(np.float32).reshape(1, 1, 5, 5)))
    layer = f'{INFOGAIN} infogain_loss_param {{ source: "{path}" }}'
    check_formula(Case("infogain by a file", layer, XT, softmax_loss(4, infogain=H)))
    check_refused(layer, {"x": (2, 3), "t": (2,)}, r"shape \[1, 1, 5, 5\]; 3×3 is needed")


@pytest.mark.parametrize(
    ("layer", "ignore"), [(SOFTMAX, None), (SOFTMAX + "loss_param { ignore_label: 255 }", 255), (HINGE, None)]
)
def test_labels_are_bounded_by_the_classes(layer, ignore):
    ((blob, (bounds,)),) = net_of(layer, XT).label_bounds.items()
    assert (blob, bounds.classes, bounds.ignore) == ("t", 5, ignore)


def test_bounds_are_found_through_splits():
    text = 'type: "Accuracy" top: "a"  } layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "l"'
    ((blob, bounds),) = net_of(text, XT, tops=0, phase=pb.TEST).label_bounds.items()
    assert blob == "t"
    assert [each.layer for each in bounds] == ['layer "layer" (Accuracy)', 'layer "loss" (SoftmaxWithLoss)']


@pytest.mark.parametrize("ignore", [None, 1])
def test_class_weights_make_softmax_loss_infogain_loss_with_a_diagonal(ignore):
    """Value and gradient; the weights are no part of the normalizer."""
    rng = np.random.default_rng(3)
    x, t, w = rng.standard_normal((4, 5)).astype(np.float32), LABELS.astype(np.float32), np.float32([3, 0.5, 2, 0, 1])
    net = net_of(SOFTMAX + (f"loss_param {{ ignore_label: {ignore} }}" if ignore else ""), {"x": x.shape, "t": t.shape})
    assert [layer.weigh_classes(w) for layer in net.layers] == [False] * (len(net.layers) - 1) + [True]
    loss, gradient = jax.value_and_grad(lambda x: net.forward([], {"x": x, "t": t}).loss)(x)
    valid = t != ignore
    assert_close(loss, softmax_loss(None, ignore, infogain=np.diag(w))(x, t))
    own = np.where(valid, w[LABELS], 0)[:, None]
    assert_close(gradient, own * (np.exp(log_softmax(x)) - np.eye(5)[LABELS]) / valid.sum())


def test_class_weights_of_another_number_are_refused():
    loss = net_of(SOFTMAX, XT).layers[-1]
    with pytest.raises(LayerError, match=r"\(SoftmaxWithLoss\): 3 class weights for its 5 classes; give one each"):
        loss.weigh_classes(np.ones(3, np.float32))


@pytest.mark.parametrize(
    "layer", [SOFTMAX, 'type: "MultinomialLogisticLoss"', SOFTMAX + "loss_param { ignore_label: 0 }"]
)
def test_no_loss_is_no_minus_zero(layer):
    net = net_of(layer, {"x": (2, 3), "t": (2,)})
    x = {"x": np.float32([[1e4, 0, 0]] * 2) if layer.startswith(SOFTMAX) else np.float32([[1, 0, 0]] * 2)}
    loss = jax.jit(net.forward)([], {**x, "t": np.zeros(2, np.float32)}).loss
    assert (float(loss), np.signbit(loss)) == (0, False)


def test_a_third_top_is_the_loss_of_each_prediction():
    case = Case("each", SOFTMAX + "loss_param { ignore_label: 9 normalization: NONE }", XM, tops=3)
    _, bottoms = case.values()
    loss, _, each = case.run([], bottoms)
    assert_close(each.sum(), loss)
    assert_close(each[MAPS == 9], np.zeros(np.sum(MAPS == 9)))
    assert_close(jax.grad(lambda x: case.run([], {**bottoms, "x": x})[2].sum())(bottoms["x"]), 0 * bottoms["x"])


def test_listed_class_weights_weigh_by_label(caplog):
    listed = "weight_by_label_freqs: true class_weighting: 2 class_weighting: 1 class_weighting: 0.5"
    infogain = np.diag([2, 1, 0.5])
    for more, n in (("normalize: true", None), ("", 2)):
        layer = SOFTMAX + f"loss_param {{ ignore_label: 9 {listed} {more} }}"
        check_formula(Case("listed", layer, XM, softmax_loss(n, 9, infogain=infogain)))
        assert ("is divided by the batch size" in caplog.text) == (not more)


@pytest.mark.parametrize("kind", ["SoftmaxWithLossOHEM", "SmoothL1LossOHEM"])
def test_the_losses_of_hard_example_mining_have_tops_of_each(kind):
    first, second = ((8, 5), (8,)) if kind.startswith("Softmax") else ((8, 5, 1, 1), (8, 5, 1, 1))
    tops = 3 if kind.startswith("Softmax") else 2
    net = net_of(f'type: "{kind}"', {"x": first, "t": second}, tops)
    assert np.prod(net.blob_shapes[f"y{tops - 1}"]) == 8
