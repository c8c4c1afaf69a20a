"""A permutohedral lattice, computed by its definition, point by point, with its vertices in a dictionary."""

import math
from collections import defaultdict

import numpy as np


def filtered(points, values):
    """(N, C): values (N, C) of points (N, d), splatted, blurred and sliced. Points are padded to a multiple of four."""
    n, d = points.shape
    filled = [*points, *np.zeros((-n % 4, d))]
    corners = [_corners(np.asarray(point, np.float64)) for point in filled]
    at = {vertex: np.zeros(values.shape[1]) for each in corners for vertex, _ in each}
    for each, value in zip(corners, values, strict=False):
        for vertex, weight in each:
            at[vertex] += weight * value
    for axis in range(d + 1):
        step = np.full(d + 1, -1)
        step[axis] = d
        there = defaultdict(lambda: np.zeros(values.shape[1]), at)
        at = {v: there[v] + (there[tuple(np.add(v, step))] + there[tuple(np.subtract(v, step))]) / 2 for v in list(at)}
    return np.array([sum(w * at[v] for v, w in each) for each in corners[:n]]) / (1 + 2.0**-d)


def smoothed(points, values):
    """`filtered`, divided by the sum of its weights."""
    return filtered(points, values) / filtered(points, np.ones((len(points), 1)))


def _corners(point):
    """The d + 1 vertices around a point, as tuples of d + 1 coordinates whose sum is 0, with their weights."""
    d = len(point)
    scaled = point * math.sqrt(2 / 3) * (d + 1) / np.sqrt(np.arange(1, d + 1) * np.arange(2, d + 2))
    plane = np.array([scaled[i:].sum() - (i * scaled[i - 1] if i else 0) for i in range(d + 1)])
    rounded = np.round(plane / (d + 1)) * (d + 1)
    order = sorted(range(d + 1), key=lambda i: (-(plane - rounded)[i], i))
    excess = round(rounded.sum()) // (d + 1)
    for i in order[d + 1 - excess :] if excess > 0 else order[:-excess]:
        rounded[i] -= math.copysign(d + 1, excess)
    left = plane - rounded
    order = sorted(range(d + 1), key=lambda i: (-left[i], i))
    found = []
    for k in range(d + 1):
        vertex = rounded + k
        vertex[order[d + 1 - k :]] -= d + 1
        # The difference between the k-th smallest remainder and the next; the first corner gets the rest.
        weight = (left[order[d - k]] - (left[order[d + 1 - k]] if k else left[order[0]] - (d + 1))) / (d + 1)
        found.append((tuple(int(x) for x in vertex), weight))
    return found
