"""The shapes of layers that reshape, permute or repeat their bottom's values, computed without JAX."""

from math import prod

from engine.graph import fits
from engine.graph.graph import Node

Shape = tuple[int, ...]


def flattened(node: Node, x: Shape) -> Shape:
    """x with the axes from `axis` to `end_axis`, inclusive, merged into one; if `end_axis` is just before `axis`, a new
    axis of size 1 is inserted there.

    Raises LayerError if there are no such axes.
    """
    p = node.config.flatten_param
    fits.not_in_place(node)
    first, last = node.canonical_axis(p.axis, x), node.canonical_axis(p.end_axis, x, "end_axis")
    if last < first - 1:
        raise node.error(f"end_axis {p.end_axis} lies before axis {p.axis} of {node.bottom(0)} of shape {list(x)}.")
    return (*x[:first], prod(x[first : last + 1]), *x[last + 1 :])


def reshaped(node: Node, x: Shape) -> Shape:
    """x with `shape` in place of the `num_axes` axes from `axis` on: 0 keeps the bottom's dim, a single −1 is inferred.

    Raises LayerError if there are no such axes, and if the values do not fit.
    """
    p = node.config.reshape_param
    fits.not_in_place(node)
    first = p.axis if p.axis >= 0 else len(x) + 1 + p.axis
    if not 0 <= first <= len(x):
        raise node.error(
            f"axis {p.axis} is not one of {node.bottom(0)} of shape {list(x)}, nor the one after its last."
        )
    last = len(x) if p.num_axes == -1 else first + p.num_axes
    if not first <= last <= len(x):
        raise node.error(
            f"num_axes {p.num_axes} from axis {first} on does not fit {node.bottom(0)} of shape {list(x)}; "
            f"0 to {len(x) - first} are left, −1 stands for all of them."
        )
    new = _kept(node, x, first)
    if -1 in new:
        known = prod(x[:first]) * prod(d for d in new if d != -1) * prod(x[last:])
        if not known or prod(x) % known:
            raise node.error(f"{_described(node, x)}: {prod(x)} values are no multiple of {known}, so −1 has no size.")
        new[new.index(-1)] = prod(x) // known
    shape = (*x[:first], *new, *x[last:])
    if prod(shape) != prod(x):
        raise node.error(f"{_described(node, x)}: {prod(x)} values do not fit {list(shape)}, which has {prod(shape)}.")
    return shape


def permuted(node: Node, x: Shape) -> Shape:
    """The axes of x in their order in the top of a Permute, Transpose or TensorTranspose: first those named, then the
    rest.

    Raises LayerError for an axis that does not exist or is named twice, and for one of the latter two that does not
    name all.
    """
    config = node.config
    named = {
        "Permute": ("order", config.permute_param.order),
        "Transpose": ("dim", config.transpose_param.dim),
        "TensorTranspose": ("order", config.tensor_transpose_param.order),
    }
    field, order = named[config.type][0], tuple(named[config.type][1])
    if config.type != "Permute" and len(order) != len(x):
        raise node.error(f"it names {len(order)} {field} for a bottom of shape {list(x)}; name each axis.")
    for axis in order:
        if not 0 <= axis < len(x):
            raise node.error(f"order {axis} is not an axis of its bottom of shape {list(x)}; it has {len(x)} axes.")
    if len(set(order)) < len(order):
        raise node.error(f"order {list(order)} names an axis twice.")
    return (*order, *(axis for axis in range(len(x)) if axis not in order))


def squeezed(node: Node, x: Shape) -> Shape:
    """x without the axes of length 1 that a Squeeze names, or without all such axes if it names none.

    Raises LayerError if a named axis is longer.
    """
    named = [node.canonical_axis(axis, x) for axis in node.config.squeeze_param.axis]
    for axis in named:
        if x[axis] != 1:
            raise node.error(f"axis {axis} of {node.bottom(0)} of shape {list(x)} is not of length 1.")
    removed = named or [axis for axis, d in enumerate(x) if d == 1]
    return tuple(d for axis, d in enumerate(x) if axis not in removed)


def tiled(node: Node, x: Shape) -> tuple[int, Shape]:
    """The axis along which a Tile repeats x, and the resulting shape. Raises LayerError if tiles is below 1."""
    p = node.config.tile_param
    axis = node.canonical_axis(p.axis, x)
    if p.tiles < 1:
        raise node.error(f"tiles is {p.tiles if p.HasField('tiles') else 'not given'}; 1 or more is needed.")
    return axis, (*x[:axis], x[axis] * p.tiles, *x[axis + 1 :])


def _kept(node: Node, x: Shape, first: int) -> list[int]:
    """The dims of `shape` with each 0 replaced by the bottom's."""
    dims = list(node.config.reshape_param.shape.dim)
    if dims.count(-1) > 1 or min(dims, default=0) < -1:
        raise node.error(f"{_described(node, x)}: each dim must be 0 or more, except one that may be −1.")
    for i, d in enumerate(dims):
        if d == 0 and first + i >= len(x):
            raise node.error(f"{_described(node, x)}: dim {i} is 0, but there is no axis {first + i} to keep.")
    return [x[first + i] if d == 0 else d for i, d in enumerate(dims)]


def _described(node: Node, x: Shape) -> str:
    return f"shape {list(node.config.reshape_param.shape.dim)} for {node.bottom(0)} of shape {list(x)}"
