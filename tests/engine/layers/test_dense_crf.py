"""DenseCRF: iterations written out, and what is refused. A recorded case is in golden."""

import numpy as np
import pytest
from support.layer_cases import Case, check_formula, check_gradient, check_refused
from support.slow_lattice import smoothed

LAYER = 'type: "DenseCRF" dense_crf_param {{ {} }}'.format
NEAR, ALIKE = "pos_xy_std: 2 pos_w: 3 pos_xy_std: 1 pos_w: 0.5", "bi_xy_std: 6 bi_rgb_std: 0.8 bi_w: 4"
SIZES = np.array([[3, 4], [9, 2], [2, 3]])[:, :, None, None]
BOTTOMS = {"x": (3, 2, 3, 4), "sizes": SIZES, "picture": (3, 3, 3, 4)}


def iterated(x, sizes, picture=None, rounds=10):
    top = np.zeros_like(x)
    for n, (rows, columns) in enumerate(sizes[:, :, 0, 0].astype(int)):
        inside = np.s_[n, :, :rows, :columns]
        scores = x[inside]
        j, i = np.mgrid[: scores.shape[1], : scores.shape[2]]
        place = np.stack([i.ravel(), j.ravel()], 1)
        filters = [(3, place / 2), (0.5, place / 1)]
        if picture is not None:
            filters.append((4, np.concatenate([place / 6, picture[inside].reshape(3, -1).T / 0.8], 1)))
        flat = scores.reshape(2, -1)
        p = np.exp(flat) / np.exp(flat).sum(0)
        for _ in range(rounds):
            e = np.exp(flat + sum(w * smoothed(points, p.T).T for w, points in filters))
            p = e / e.sum(0)
        top[inside] = p.reshape(scores.shape)
    return top


CASES = [
    Case("three pictures of three sizes", LAYER(f"{NEAR} {ALIKE}"), BOTTOMS, iterated),
    Case("without pictures", LAYER(f"{NEAR} {ALIKE}"), {"x": (3, 2, 3, 4), "sizes": SIZES}, iterated),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_formula(case):
    check_formula(case)


@pytest.mark.slow
def test_there_is_no_gradient():
    check_gradient(CASES[1])


def test_without_iterations_it_is_the_softmax():
    case = Case("none", LAYER("max_iter: 0"), {"x": (1, 2, 3, 4), "sizes": np.array([[3, 3]])[:, :, None, None]})
    _, bottoms = case.values()
    e = np.exp(bottoms["x"])
    e[..., 3] = 0
    (top,) = case.net.compile(case.run)([], bottoms)
    np.testing.assert_allclose(top, e / np.maximum(e.sum(1, keepdims=True), 1e-9), rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "bottoms", "message"),
    [
        ("pos_w: 1", {}, "there are 0 pos_xy_std and 1 pos_w"),
        (f"{ALIKE} bi_rgb_std: 2", {}, "there are 2 bi_rgb_std and 1 bi_w"),
        (ALIKE.replace("0.8", "0"), {}, "a deviation is 0"),
        (f"{ALIKE} max_iter: 100000", {}, "max_iter is 100000; it must be 1000 or less"),
        (NEAR, {}, 'bottom "picture" is a picture, and bi_xy_std'),
        (ALIKE, {"picture": (3, 4, 3, 4)}, "a picture of 3 colours and 3×4 is needed"),
        (ALIKE, {"sizes": (3, 1)}, "two values for each of 3 pictures"),
    ],
)
def test_wrong_configuration_is_refused(settings, bottoms, message):
    check_refused(LAYER(settings), {**BOTTOMS, **bottoms}, message)
