"""Checks of a layer's settings and of the shapes of its bottoms, without JAX: used by the layers, and before a job is
sent. Each function raises LayerError if its condition is not met."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isnan, prod

from google.protobuf.message import Message

from engine import suggest
from engine.graph.graph import Node
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]
FILLERS = (
    *("constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear"),
    *("bilinear_3D", "diagonal"),
)


def numbers(node: Node) -> None:
    """No setting is NaN, which no comparison with a bound would catch. The arrays of a model may contain it."""
    for name in _not_numbers(node.config):
        raise node.error(f"{name} is nan, which is not a number.")


def _not_numbers(settings: Message) -> Iterator[str]:
    """The names of the fields that are NaN, as block.field."""
    for field, value in settings.ListFields():
        values = value if field.is_repeated else [value]
        if field.message_type is not None and field.name != "blobs":
            for part in values:
                yield from (f"{field.name}.{name}" for name in _not_numbers(part))
        elif field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE) and any(map(isnan, values)):
            yield field.name


def channels(node: Node, x: Shape) -> int:
    """The first bottom has channels: (N, C, …). Returns their number."""
    if len(x) < 2:
        raise node.error(f"{node.bottom(0)} has shape {list(x)}; 2 axes or more are needed: num, channels.")
    return x[1]


def planes(node: Node, x: Shape, bottom: int = 0) -> None:
    """A bottom of shape x has four axes: (N, C, H, W)."""
    if len(x) != 4:
        raise node.error(f"{node.bottom(bottom)} has shape {list(x)}; 4 axes are needed: num, channels, height, width.")


def batch_size(node: Node, size: int) -> int:
    """The batch size is 1 or more. Returns it."""
    if not size:
        raise node.error("batch_size is 0 or not given; 1 or more is needed.")
    return size


def outputs(node: Node, block: str, num_output: int) -> int:
    """The num_output in the settings `block` is 1 or more. Returns it."""
    if not num_output:
        raise node.error(f"{block} needs num_output of 1 or more.")
    return num_output


def groups(node: Node, channels: int, num_output: int, group: int) -> int:
    """A convolution's channels and outputs can be split into `group` groups. Returns `group`."""
    if not group:
        raise node.error("group is 0; it must be 1 or more.")
    if channels % group:
        raise node.error(f"the {channels} channels of {node.bottom(0)} cannot be split into group: {group}.")
    if num_output % group:
        raise node.error(f"num_output {num_output} cannot be split into group: {group}; give a multiple of it.")
    return group


def filler(node: Node, config: pb.FillerParameter, shape: Shape) -> None:
    """The filler exists, and fits a parameter of this shape."""
    if complaint := wrong_filler(config, shape):
        raise node.error(complaint)


def wrong_filler(config: pb.FillerParameter, shape: Shape) -> str | None:
    """What is wrong with a filler for a parameter of this shape; None if nothing is."""
    if config.type not in FILLERS:
        suggestion = suggest.did_you_mean(config.type, FILLERS)
        return f'unknown filler type "{config.type}"; there are {", ".join(FILLERS)}.{suggestion}'
    if config.sparse != -1 and config.type != "gaussian":
        return f'sparse is for the gaussian filler, not for "{config.type}".'
    if config.type == "bilinear" and (len(shape) != 4 or shape[2] != shape[3]):
        return f"the bilinear filler is for square 4-dimensional weights, not for shape {list(shape)}."
    if config.type == "diagonal" and len(shape) > 4:
        return f"the diagonal filler is for weights of up to 4 axes, not for shape {list(shape)}."
    if config.type == "bilinear_3D" and (len(shape) != 5 or len(set(shape[2:])) != 1):
        return f"the bilinear_3D filler is for cubic 5-dimensional weights, not for shape {list(shape)}."
    return None


def not_in_place(node: Node) -> None:
    """The layer does not work in place, for types that cannot in Caffe."""
    if node.config.bottom[0] in node.config.top:
        raise node.error(f'it cannot be computed in place: give its top another name than "{node.config.bottom[0]}".')


def alike(node: Node, shapes: Sequence[Shape]) -> Shape:
    """All bottoms have the same shape. Returns it."""
    for i, x in enumerate(shapes):
        if x != shapes[0]:
            raise node.error(f"{_beside_first(node, i, shapes)}; they must be the same.")
    return shapes[0]


def combined(node: Node, shapes: Sequence[Shape]) -> Shape:
    """An Eltwise's bottoms have the same shape, and one coeff each or none; a single one has a coeff (FlowNet). Returns
    the shape."""
    p, shape = node.config.eltwise_param, alike(node, shapes)
    if len(shapes) == 1 and not (p.coeff and p.operation == p.SUM):
        raise node.error("it has 1 bottoms and takes at least 2; one is enough for operation: SUM with a coeff.")
    if p.coeff and p.operation != p.SUM:
        raise node.error(f"coeff is for operation SUM, not for {p.EltwiseOp.Name(p.operation)}.")
    if p.coeff and len(p.coeff) != len(shapes):
        raise node.error(f"{len(p.coeff)} coeff for {len(shapes)} bottoms; give one each, or none.")
    return shape


def added(node: Node, a: Shape, x: Shape, y: Shape) -> Shape:
    """An Axpy's x and y have the same shape, and `a` one value per item and channel. Returns the shape of the top."""
    if len(x) < 2 or a[:2] != x[:2] or prod(a[2:]) != 1:
        raise node.error(
            f"{node.bottom(0)} has shape {list(a)} and {node.bottom(1)} {list(x)}; the first must have one value per "
            "item and channel of the second."
        )
    if x != y:
        raise node.error(f"{node.bottom(1)} has shape {list(x)} and {node.bottom(2)} {list(y)}; they must be the same.")
    return x


def place(node: Node, what: str, bottoms: Sequence[Shape], axis: int, num_axes: int) -> tuple[int, Shape]:
    """The operand `what` of a Scale or Bias fits the first bottom. Returns the axis at which it begins there, and its
    shape: that of the second bottom, or of the `num_axes` axes from `axis` on. A scalar always fits."""
    x, *operand = bottoms
    if operand:
        (shape,) = operand
    elif num_axes < -1:
        raise node.error(f"num_axes {num_axes} is below −1, which stands for all axes from `axis` on.")
    else:
        first = node.canonical_axis(axis, x) if num_axes else 0
        if first + num_axes > len(x):
            raise node.error(
                f"num_axes {num_axes} from axis {axis} on is more than {node.bottom(0)} of shape {list(x)} has."
            )
        shape = x[first:] if num_axes == -1 else x[first : first + num_axes]
    start = node.canonical_axis(axis, x) if shape else 0
    if x[start : start + len(shape)] != shape:
        raise node.error(
            f"a {what} of shape {list(shape)} does not fit {node.bottom(0)} of shape {list(x)} from axis {start} on; "
            f"that is {list(x[start:])}."
        )
    return start, shape


def loss_weights(node: Node, tops: int) -> list[float]:
    """A layer with so many tops has one loss weight per top, or none. Returns them."""
    weights = list(node.config.loss_weight)
    if weights and len(weights) != tops:
        raise node.error(f"{len(weights)} loss_weight for {tops} tops; give one per top, or none.")
    return weights


def top_count(node: Node, tops: int, named: int) -> None:
    """As many tops are named as the layer makes."""
    if tops != named:
        raise node.error(f"it makes {tops} tops and {named} are named.")


def param_blocks(node: Node, params: int) -> None:
    """There are no more `param` blocks than the layer has parameters."""
    if len(node.config.param) > params:
        raise node.error(f"it has {params} parameters and {len(node.config.param)} param blocks.")


def shared(node: Node, i: int, name: str, shape: Shape, owner: str, owner_shape: Shape) -> None:
    """The i-th parameter, called `name`, has the same shape here and in the layer `owner`; with share_mode: PERMISSIVE
    the same number of values is enough."""
    spec = node.config.param[i]
    permissive = spec.share_mode == pb.ParamSpec.PERMISSIVE
    if (prod(owner_shape) != prod(shape)) if permissive else (owner_shape != shape):
        raise node.error(
            f'its {name} of shape {list(shape)} shares "{spec.name}" with layer "{owner}", where it has shape '
            f"{list(owner_shape)}"
            + ("; even with share_mode: PERMISSIVE the counts must be equal." if permissive else ".")
        )


def joined(node: Node, shapes: Sequence[Shape]) -> tuple[int, Shape]:
    """A Concat's bottoms can be concatenated. Returns the axis, and the shape of the top."""
    a = _axis(node, node.config.concat_param, "concat_dim", shapes[0])
    for i, x in enumerate(shapes):
        if len(x) != len(shapes[0]) or x[:a] + x[a + 1 :] != shapes[0][:a] + shapes[0][a + 1 :]:
            raise node.error(f"{_beside_first(node, i, shapes)}; they may differ along axis {a} only.")
    return a, (*shapes[0][:a], sum(x[a] for x in shapes), *shapes[0][a + 1 :])


def cut(node: Node, x: Shape) -> tuple[int, list[int], list[Shape]]:
    """A Slice's bottom can be cut as asked. Returns the axis, the points at which it is cut, and the shapes of the
    parts."""
    p, parts = node.config.slice_param, len(node.config.top)
    axis = _axis(node, p, "slice_dim", x)
    size, bottom = x[axis], f"{node.bottom(0)} of shape {list(x)} along axis {axis}"
    if not p.slice_point and size % parts:
        raise node.error(f"{size} values of {bottom} do not make {parts} equal tops; give slice_points.")
    if p.slice_point and len(p.slice_point) != parts - 1:
        raise node.error(f"{len(p.slice_point)} slice_point for {parts} tops; {parts - 1} are needed.")
    points = list(p.slice_point) or [size // parts * i for i in range(1, parts)]
    ends = [0, *points, size]
    if p.slice_point and any(b <= a for a, b in pairwise(ends)):
        raise node.error(f"slice_point {list(p.slice_point)} must rise and stay between 0 and {size}, for {bottom}.")
    return axis, points, [(*x[:axis], b - a, *x[axis + 1 :]) for a, b in pairwise(ends)]


def _axis(node: Node, param: pb.ConcatParameter | pb.SliceParameter, old: str, x: Shape) -> int:
    """The axis given by `axis`, or by the field's old name (`concat_dim`, `slice_dim`), which cannot be negative."""
    if not param.HasField(old):
        return node.canonical_axis(param.axis, x)
    if param.HasField("axis"):
        raise node.error(f"it has axis and {old}, the old name of the same; give one of them.")
    return node.canonical_axis(getattr(param, old), x, old)


def _beside_first(node: Node, i: int, shapes: Sequence[Shape]) -> str:
    return f"{node.bottom(i)} has shape {list(shapes[i])} and {node.bottom(0)} {list(shapes[0])}"
