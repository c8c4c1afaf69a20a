"""Gaussian filters of points in several dimensions, on a permutohedral lattice (Adams, Baek and Davis 2010).

A point's value is distributed among the d + 1 corners of its simplex (splat), blurred along the lattice's d + 1 axes
over the vertices that any point has touched, and gathered again (slice). A hash table finds the vertices and their
neighbours. Their number is known only then, so arrays have room for d + 1 per point, and loops end at the last vertex.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.ops import picked_rows
from engine.ops.rounded import rounded

Array = jax.Array

BLOCK = 4
"""The number of points that the forks' code processes at a time. It fills the last block with points at the origin."""

STRETCH = 1 << 15
"""The number of vertices that one iteration of a loop processes."""


class Lattice(NamedTuple):
    """corners (N, d+1): the numbers of the vertices around each point; weights (N, d+1): their barycentric weights.
    neighbours (d+1, 2, V): along each axis, the vertices after and before each vertex; V where there is none.
    vertices: their number, at most V."""

    corners: Array
    weights: Array
    neighbours: Array
    vertices: Array


class Filter(NamedTuple):
    """A lattice, and the normalization: 1 / the sum of each point's weights (N, 1)."""

    lattice: Lattice
    scale: Array


class _Simplex(NamedTuple):
    """keys (N, d+1, d): the corners' coordinates without the last, which makes their sum 0; weights (N, d+1)."""

    keys: Array
    weights: Array


def built(features: Array, inside: Array | None = None) -> Filter:
    """The normalized filter of points (N, d); arguments as for `lattice`."""
    of_points = lattice(features, inside)
    total = filtered(of_points, jnp.ones((len(features), 1), features.dtype))
    return lax.stop_gradient(Filter(of_points, 1 / (total + np.float32(1e-20))))


def smoothed(by: Filter, values: Array) -> Array:
    """(N, C): for each point, the weighted mean of all values (N, C). No gradient flows to the filter."""
    return by.scale * filtered(by.lattice, values)


def lattice(features: Array, inside: Array | None = None) -> Lattice:
    """The lattice of points (N, d), in units of the Gaussian's standard deviation; only of those `inside` (N)."""
    n, d = features.shape
    included = jnp.ones(n, bool) if inside is None else inside
    origin = jnp.where(included.sum() % BLOCK == 0, features[:1], 0)
    # Points that are left out are put where the first point is, and so touch no new vertex.
    points = jnp.concatenate([jnp.where(included[:, None], features, features[:1]), origin])
    keys, weights = _simplices(points)
    hash_table = _numbered(_packed(keys.reshape(-1, d)))
    corners = hash_table.number.reshape(n + 1, d + 1)[:n]
    return Lattice(corners, weights[:n] * included[:, None], _neighbours(hash_table, d), hash_table.vertices)


@jax.custom_vjp
def filtered(lattice: Lattice, values: Array) -> Array:
    """(N, C): values (N, C) filtered, not normalized. No gradient flows to the lattice."""
    return _filtered(lattice, values, 1)


def _filtered(lattice: Lattice, values: Array, step: int) -> Array:
    corners, weights = lattice.corners, lattice.weights
    axes, room = lattice.neighbours.shape[0], lattice.neighbours.shape[2]
    shares = (values[:, None] * weights[:, :, None]).reshape(-1, values.shape[1])
    at = picked_rows.sums(shares, corners.reshape(-1), room)
    spare = at
    for axis in range(axes)[::step]:
        at, spare = _blurred(lattice, axis, at, spare), at
    gathered = jnp.zeros_like(values)
    for i in range(axes):
        gathered = gathered + at[corners[:, i]] * weights[:, i, None]
    return gathered * np.float32(1 / (1 + 2.0 ** (1 - axes)))


def _blurred(lattice: Lattice, axis: int, at: Array, spare: Array) -> Array:
    """`at` (V, C) blurred along an axis. spare: the array to write the result into."""

    def stretch(start: Array, size: int, blurred: Array) -> Array:
        near = lax.dynamic_slice(lattice.neighbours, (jnp.int32(axis), jnp.int32(0), start), (1, 2, size))[0]
        behind, before = (at.at[each].get(mode="fill", fill_value=0) for each in near)  # one by one: a CPU fuses them
        centre = lax.dynamic_slice_in_dim(at, start, size)
        return lax.dynamic_update_slice_in_dim(blurred, centre + 0.5 * (behind + before), start, 0)

    return _by_stretches(lattice.vertices, len(at), stretch, spare)


def _forward(lattice: Lattice, values: Array) -> tuple[Array, Lattice]:
    return filtered(lattice, values), lattice


def _backward(lattice: Lattice, dy: Array) -> tuple[None, Array]:
    """Distributing is the transpose of gathering, and each blur is its own transpose."""
    return None, _filtered(lattice, dy, -1)


filtered.defvjp(_forward, _backward)


def _simplices(points: Array) -> _Simplex:
    """The simplex around each point (N, d), from the nearest lattice point and the order of the remainders."""
    d = points.shape[1]
    elevated = _elevated(points)
    nearest = jnp.round(elevated * np.float32(1 / (d + 1)))
    floor = nearest * (d + 1)
    remainder = elevated - floor
    # As in the forks: the number of coordinates with a larger remainder, or with an equal one and a smaller index.
    larger = remainder[:, None, :] > remainder[:, :, None]
    equal = (remainder[:, None, :] == remainder[:, :, None]) & np.tri(d + 1, k=-1, dtype=bool)
    rank = (larger | equal).sum(2, dtype=jnp.int32) + nearest.sum(1, keepdims=True).astype(jnp.int32)
    shift = jnp.where(rank < 0, d + 1, 0) - jnp.where(rank > d, d + 1, 0)
    rank, floor = rank + shift, floor + shift
    delta = (elevated - floor) * np.float32(1 / (d + 1))
    by_rank = jnp.where(rank[:, :, None] == jnp.arange(d + 1), delta[:, :, None], 0).sum(1)  # (N, d+1)
    falling = by_rank[:, ::-1]
    rest = falling[:, 1:] - falling[:, :-1]
    weights = jnp.concatenate([1 + falling[:, :1] - falling[:, -1:], rest], axis=1)
    step = jnp.arange(d + 1)[:, None]
    keys = floor.astype(jnp.int32)[:, None, :d] + step - jnp.where(rank[:, None, :d] > d - step, d + 1, 0)
    return _Simplex(keys, weights)


def _elevated(points: Array) -> Array:
    """(N, d+1): the points (N, d) in the plane of d + 1 coordinates whose sum is 0, scaled so that the blur has a
    standard deviation of 1 (Adams et al., page 5 and following). Rounded as in the forks: for points near a border
    between simplices, the last bit decides which vertices exist."""
    d = points.shape[1]
    stretch = float(np.float32(math.sqrt(2 / 3) * (d + 1)))
    total = jnp.zeros(len(points), points.dtype)
    columns = []
    for j in range(d, 0, -1):
        f = rounded(points[:, j - 1] * np.float32(stretch / math.sqrt(j * (j + 1))))
        columns.append(total - rounded(j * f))
        total = total + f
    return jnp.stack([total, *columns[::-1]], axis=1)


def _packed(keys: Array) -> tuple[Array, ...]:
    """Packs the coordinates of keys (..., d) into words, two each: they have 16 bits in the forks, too."""
    d = keys.shape[-1]
    low = [keys[..., i] & 0xFFFF for i in range(d)] + [jnp.zeros_like(keys[..., 0])] * (d % 2)
    return tuple(low[i] << 16 | low[i + 1] for i in range(0, len(low), 2))


def _unpacked(words: tuple[Array, ...], d: int) -> Array:
    return jnp.stack([part for word in words for part in (word >> 16, word << 16 >> 16)][:d], axis=-1)


class _Vertices(NamedTuple):
    """The distinct keys among K, by a hash table. words: the packed keys (K each). table: which key each slot holds, K
    if none. number (K): the vertex of each key. first (room): the first key of each vertex. vertices: their number."""

    words: tuple[Array, ...]
    table: Array
    number: Array
    first: Array
    vertices: Array


def _numbered(words: tuple[Array, ...]) -> _Vertices:
    """Numbers the vertices in the order in which keys first name them, so that neighbours are close in memory.

    In each turn, every key that has no slot yet tries one. Of the keys that try the same empty slot, the first gets it,
    together with all keys that equal it.
    """
    size = len(words[0])
    own = lax.iota(jnp.int32, size)

    def turn(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        table, owner, tried = state
        slot = _slot(words, tried, len(table))
        asks = (owner == size) & (table[slot] == size)
        table = table.at[jnp.where(asks, slot, len(table))].min(own, mode="drop")
        holder = table[slot]
        owner = jnp.where((owner == size) & _equal(words, words, holder), holder, owner)
        return table, owner, tried + 1

    empty = jnp.full(1 << (2 * size - 1).bit_length(), size, jnp.int32)
    table, owner, _ = lax.while_loop(
        lambda state: (state[1] == size).any(), turn, (empty, jnp.full(size, size, jnp.int32), jnp.int32(0))
    )
    is_first = owner == own
    count = jnp.cumsum(is_first.astype(jnp.int32))
    room = size if size <= STRETCH else -(-size // STRETCH) * STRETCH
    first = jnp.full(room, size, jnp.int32).at[jnp.where(is_first, count - 1, room)].set(own, mode="drop")
    return _Vertices(words, table, (count - 1)[owner], first, count[-1])


def _slot(words: tuple[Array, ...], tried: Array, slots: int) -> Array:
    """The slot, in a table of 2^k, for each key's probe number `tried`. A key's probes go by a step of its own."""
    mixed = jnp.zeros(words[0].shape, jnp.uint32)
    for word in words:
        mixed = (mixed ^ word.astype(jnp.uint32)) * np.uint32(0x9E3779B1)
        mixed = mixed ^ (mixed >> 15)
    step = (mixed * np.uint32(0x85EBCA6B)) | 1
    return ((mixed + tried.astype(jnp.uint32) * step) % np.uint32(slots)).astype(jnp.int32)


def _equal(keys: tuple[Array, ...], words: tuple[Array, ...], at: Array) -> Array:
    """Whether each key equals that of `words` at index `at`; false if the index is out of range."""
    same = at < len(words[0])
    for key, word in zip(keys, words, strict=True):
        same = same & (word.at[at].get(mode="clip") == key)
    return same


def _neighbours(hash_table: _Vertices, d: int) -> Array:
    """(d+1, 2, V): `Lattice.neighbours`. A step along an axis adds d to its coordinate, and −1 to all others."""
    room = len(hash_table.first)
    steps = np.concatenate([(d + 1) * np.eye(d, dtype=np.int32), np.zeros((1, d), np.int32)]) - 1

    def stretch(start: Array, size: int, neighbours: Array) -> Array:
        first_keys = lax.dynamic_slice_in_dim(hash_table.first, start, size)
        keys = _unpacked(tuple(word.at[first_keys].get(mode="clip") for word in hash_table.words), d)
        own = start + jnp.arange(size, dtype=jnp.int32)
        behind = jnp.where(own < hash_table.vertices, _found(hash_table, _packed(keys + steps[:, None])), room)
        neighbours = lax.dynamic_update_slice_in_dim(neighbours, behind[:, None], start, 2)
        return neighbours.at[np.arange(d + 1)[:, None], 1, behind].set(jnp.broadcast_to(own, behind.shape), mode="drop")

    return _by_stretches(hash_table.vertices, room, stretch, jnp.full((d + 1, 2, room), room, jnp.int32))


def _found(hash_table: _Vertices, keys: tuple[Array, ...]) -> Array:
    """The vertex of each key; V if there is none: an empty slot ends the search."""
    none = len(hash_table.words[0])

    def turn(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        holders, open_, tried = state
        holder = hash_table.table[_slot(keys, tried, len(hash_table.table))]
        hit = open_ & _equal(keys, hash_table.words, holder)
        return jnp.where(hit, holder, holders), open_ & ~hit & (holder < none), tried + 1

    start = jnp.full(keys[0].shape, none, jnp.int32)
    holders, _, _ = lax.while_loop(lambda state: state[1].any(), turn, (start, start == none, jnp.int32(0)))
    return hash_table.number.at[holders].get(mode="fill", fill_value=len(hash_table.first))


def _by_stretches(vertices: Array, room: int, step: Callable[[Array, int, Array], Array], begun: Array) -> Array:
    """Applies `step`, beginning with `begun`, to one stretch of the existing vertices after another. Its arguments are
    the start of a stretch, its length, and the result so far."""
    if room <= STRETCH:
        return step(jnp.int32(0), room, begun)
    turns = (vertices + STRETCH - 1) // STRETCH
    return lax.fori_loop(0, turns, lambda k, result: step(k * STRETCH, STRETCH, result), begun)
