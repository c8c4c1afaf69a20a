"""DomainTransform: smoothing that stops at edges."""

import math

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused, slopes

LAYER = 'type: "DomainTransform" domain_transform_param {{ spatial_sigma: 4 range_sigma: 2 {} }}'.format
EDGES = np.random.default_rng(2).uniform(0, 1, (2, 1, 4, 5))
BOTTOMS = {"x": (2, 3, 4, 5), "edges": EDGES, "sizes": np.array([[4, 5], [3, 2]])[:, :, None, None]}


def smoothed(x, edges, sizes, rounds=2):
    x = x.copy()
    for k in range(1, rounds + 1):
        sigma = 4 * math.sqrt(3) * 2 ** (rounds - k) / math.sqrt(4**rounds - 1)
        for n, (rows, columns) in enumerate(sizes[:, :, 0, 0].astype(int)):
            w = np.exp(-math.sqrt(2) / sigma * (1 + 2 * edges[n, 0]))
            plane = x[n]
            for j in range(1, columns):
                plane[:, :rows, j] += w[:rows, j] * (plane[:, :rows, j - 1] - plane[:, :rows, j])
            for j in reversed(range(columns - 1)):
                plane[:, :rows, j] += w[:rows, j + 1] * (plane[:, :rows, j + 1] - plane[:, :rows, j])
            for i in range(1, rows):
                plane[:, i, :columns] += w[i, :columns] * (plane[:, i - 1, :columns] - plane[:, i, :columns])
            for i in reversed(range(rows - 1)):
                plane[:, i, :columns] += w[i + 1, :columns] * (plane[:, i + 1, :columns] - plane[:, i, :columns])
    return x


class TestCases(Cases):
    cases = (Case("two pictures of two sizes", LAYER("num_iter: 2"), BOTTOMS, smoothed),)


def test_the_least_weight_is_not_in_the_gradient_of_the_edges():
    x = np.random.default_rng(1).standard_normal(BOTTOMS["x"])
    assert slopes(LAYER("min_weight: 0.99"), x=x, edges=EDGES, sizes=BOTTOMS["sizes"])[1].any()


@pytest.mark.parametrize(
    ("options", "bottoms", "message"),
    [
        ("num_iter: 0", {}, "the first must be 1 to 64"),
        ("num_iter: 1000", {}, "the first must be 1 to 64"),
        ("", {"edges": (2, 3, 4, 5)}, r"\(N, C, H, W\) and \(N, 1, H, W\)"),
        ("", {"sizes": (2, 1)}, "two values per picture"),
    ],
)
def test_wrong_configuration_is_refused(options, bottoms, message):
    check_refused(LAYER(options), {**BOTTOMS, **bottoms}, message)
