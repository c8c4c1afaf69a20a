"""The windows of convolutions and pooling over the spatial axes, read from a layer's configuration, and the sizes of
their outputs. Computed without JAX, for the layers and for `blob_shapes`."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.graph.graph import Node
from engine.ops.window import Window
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]
Pair = tuple[int, int]
CEIL = pb.PoolingParameter.CEIL


def of_convolution(node: Node, p: pb.ConvolutionParameter | pb.DeformableConvolutionParameter, axes: int) -> Window:
    """The window of a convolution with so many spatial axes, as `p` gives it. Raises LayerError for contradictory
    options."""
    return Window(
        kernel=_option(node, p, axes, "kernel_size", "kernel"),
        stride=_option(node, p, axes, "stride", "stride", default=1),
        pad=_option(node, p, axes, "pad", "pad", default=0, least=0),
        dilation=_option(node, p, axes, "dilation", None, default=1),
    )


def _option(
    node: Node,
    p: pb.ConvolutionParameter | pb.DeformableConvolutionParameter | pb.PoolingNDParameter,
    axes: int,
    field: str,
    pair: str | None,
    *,
    default: int | None = None,
    least: int = 1,
) -> Shape:
    """One value per spatial axis, from the repeated `field` or from `pair`_h and `pair`_w."""
    values = tuple(getattr(p, field))
    hw = (f"{pair}_h", f"{pair}_w")
    if pair and any(p.HasField(name) for name in hw):
        if values:
            raise node.error(f"{field} and {hw[0]}, {hw[1]} are both given; keep one or the other.")
        if axes != 2:
            raise node.error(f"{hw[0]} and {hw[1]} are for 2 spatial axes, here are {axes}; give {field} per axis.")
        values = tuple(getattr(p, name) for name in hw)
    elif not values and default is not None:
        values = (default,)
    elif not values and axes:
        block = "pooling_nd_param" if isinstance(p, pb.PoolingNDParameter) else "convolution_param"
        raise node.error(f"{block} needs {field}, or {hw[0]} and {hw[1]}.")
    if len(values) not in (1, axes):
        raise node.error(f"{len(values)} values of {field} for {axes} spatial axes; give one for all, or one per axis.")
    if any(v < least for v in values):
        raise node.error(f"{field} is {by(values)}; it must be {least} or more along every axis.")
    return values if len(values) == axes else values[:1] * axes


def fitting_outputs(node: Node, window: Window, spatial: Shape) -> Shape:
    """The spatial shape of a convolution's outputs. Raises LayerError if the kernel exceeds the padded bottom by a
    stride or more."""
    missing = lacking(window, spatial)
    if any(n >= stride for n, stride in zip(missing, window.stride, strict=True)):
        dilated = f" with dilation {same(window.dilation)} spans {by(window.extent)} and"
        enough = max((e - n + 1) // 2 for e, n in zip(window.extent, spatial, strict=True))
        raise node.error(
            f"a {by(window.kernel)} kernel{dilated if set(window.dilation) - {1} else ''} does not fit its "
            f"{node.bottom(0)} of {by(spatial)} with pad {same(window.pad)}.\n"
            f"Give it pad: {enough}, or a smaller kernel_size."
        )
    return window.outputs(tuple(n + gap for n, gap in zip(spatial, missing, strict=True)))


def lacking(window: Window, spatial: Shape) -> Shape:
    """How many zeros must be appended along each axis for the kernel to fit the padded bottom.

    Caffe divides the room left after the kernel by the stride, rounding towards 0, and so computes one output if less
    than a stride is missing.
    """
    sizes = zip(window.extent, spatial, window.pad, strict=True)
    return tuple(max(0, extent - size - 2 * pad) for extent, size, pad in sizes)


@dataclass(frozen=True)
class Pooled:
    """The windows of a pooling over the spatial axes, and how many there are along each."""

    kernel: Shape
    stride: Shape
    pad: Shape
    outputs: Shape
    ends: Shape
    """The padding after the last row and column; `pad` is that before the first."""


def of_pooling(node: Node, x: Shape) -> Pooled:
    """The windows of a pooling layer over x, which is (N, C, H, W), or (N, C, D, H, W) for volumes as in 3D-Caffe.

    Raises LayerError for contradictory options, and if no window fits.
    """
    p = pooling(node)
    if len(node.config.top) == 2 and p.pool != pb.PoolingParameter.MAX:
        raise node.error("it has 2 tops; only pool: MAX makes a second one.")
    if len(x) not in (4, 5):
        raise node.error(
            f"{node.bottom(0)} has shape {list(x)}; {node.config.type} takes 4 axes: num, channels, height, width; or "
            "5, with the depth before the height."
        )
    if len(x) == 5:
        _check_volume(node, p)
    kernel, stride = _pool_kernel(node, x), _each(node, len(x) - 2, "stride", "stride", 1)
    pad, ends = _pool_pads(node, len(x) - 2)
    if p.global_pooling and (any(pad) or set(stride) != {1}):
        raise node.error("global_pooling takes the whole plane: leave pad and stride out.")
    if 0 in kernel or 0 in stride:
        raise node.error(f"kernel {by(kernel)} and stride {by(stride)} must be 1 or more along every axis.")
    if any(pad + ends) and p.pool == pb.PoolingParameter.STOCHASTIC:
        raise node.error("STOCHASTIC pooling takes no pad; leave it out, or use MAX or AVE.")
    if any(pad) and any(a >= k for a, k in zip(pad, kernel, strict=True)):
        raise node.error(f"pad {by(pad)} must be smaller than the kernel {by(kernel)} along every axis.")
    outputs = pool_outputs(x[2:], kernel, stride, pad, _rounding(p), ends)
    if min(outputs) < 1:
        raise node.error(
            f"a {by(kernel)} kernel does not fit its {node.bottom(0)} of {by(x[2:])} with pad {by(pad)}.\n"
            "Give it a smaller kernel_size, or global_pooling: true for one window over all of it."
        )
    return Pooled(kernel, stride, pad, outputs, ends)


def pooling(node: Node) -> pb.PoolingParameter | pb.PoolingNDParameter:
    """The settings of a pooling layer."""
    return node.config.pooling_nd_param if node.config.type == "PoolingND" else node.config.pooling_param


def _check_volume(node: Node, p: pb.PoolingParameter | pb.PoolingNDParameter) -> None:
    if len(node.config.top) == 2:
        raise node.error("pooling of volumes makes one top; leave the second one out.")
    if p.pool not in (pb.PoolingParameter.MAX, pb.PoolingParameter.AVE):
        raise node.error("volumes are pooled by their maximum or average: give it pool: MAX or AVE.")


def _rounding(p: pb.PoolingParameter | pb.PoolingNDParameter) -> int:
    """The rounding mode. If ceil_mode and round_mode are both given, round_mode counts, as in Synopsys' Caffe, the only
    one that has both."""
    if isinstance(p, pb.PoolingNDParameter):
        return CEIL
    return p.round_mode if p.ceil_mode or p.HasField("round_mode") else p.FLOOR


def pool_outputs(
    size: Shape, kernel: Shape, stride: Shape, pad: Shape, rounding: int = CEIL, ends: Shape | None = None
) -> Shape:
    """The number of windows along each axis, by Caffe's rule. ends: the padding after the last, if not `pad`."""
    shape = []
    for n, k, s, p, end in zip(size, kernel, stride, pad, ends or pad, strict=True):
        room = n + p + end - k
        outputs = (-(-room // s) if rounding == CEIL else room // s) + 1
        shape.append(outputs - 1 if any((*pad, *(ends or ()))) and (outputs - 1) * s >= n + p else outputs)
    return tuple(shape)


_SIDES = ("pad_t", "pad_b", "pad_l", "pad_r")


def edges(node: Node, p: pb.ConvolutionParameter | pb.PoolingParameter) -> tuple[Pair, Pair]:
    """The padding (above, below) and (left, right) from pad_t and the like. Raises LayerError if pad is given too."""
    top, bottom, left, right = (getattr(p, name) for name in _SIDES)
    if (top or bottom or left or right) and (p.pad or p.HasField("pad_h") or p.HasField("pad_w")):
        raise node.error("it has pad, or pad_h and pad_w, and pad_l, pad_r, pad_t or pad_b; give one or the other.")
    return (top, bottom), (left, right)


def padded(node: Node, p: pb.ConvolutionParameter | pb.DeformableConvolutionParameter, spatial: Shape) -> Shape:
    """`spatial` plus what pad_t and the like of a convolution add to it, or cut off if they are negative."""
    return tuple(n + sum(pads) for n, pads in zip(spatial, sides(node, p, len(spatial)), strict=True))


def sides(node: Node, p: pb.ConvolutionParameter | pb.DeformableConvolutionParameter, axes: int) -> Sequence[Pair]:
    """The padding before and after each of so many axes, from pad_t and the like. Raises LayerError if these are given
    for anything but rows and columns."""
    pairs = edges(node, p) if isinstance(p, pb.ConvolutionParameter) else ()
    if not any(map(any, pairs)):
        return [(0, 0)] * axes
    if axes != 2:
        raise node.error("pad_l, pad_r, pad_t and pad_b are for convolutions over rows and columns; give pad.")
    return pairs


def deconvolved(node: Node, p: pb.ConvolutionParameter, window: Window, spatial: Shape) -> Shape:
    """The spatial shape of a deconvolution's outputs. Raises LayerError if its padding leaves none."""
    pads = sides(node, p, len(spatial))
    shape = tuple(n - sum(pair) for n, pair in zip(window.inputs(spatial), pads, strict=True))
    if any(n < 1 for n in shape):
        pad = f"pad {same(window.pad)}" if not any(map(any, pads)) else "pad_t and the like"
        raise node.error(
            f"{pad} leaves nothing of {node.bottom(0)} of {by(spatial)}: its top would be {by(shape)}. Give it less "
            "pad, or a larger kernel_size or stride."
        )
    return shape


def _pool_pads(node: Node, axes: int) -> tuple[Shape, Shape]:
    """The padding before each of so many axes, and that after each."""
    p = pooling(node)
    (top, bottom), (left, right) = edges(node, p) if isinstance(p, pb.PoolingParameter) else ((0, 0), (0, 0))
    if top or bottom or left or right:
        if axes != 2:
            raise node.error("pad_l, pad_r, pad_t and pad_b are for pooling over rows and columns; give pad.")
        return (top, left), (bottom, right)
    pad = _each(node, axes, "pad", "pad", 0)
    return pad, pad


def _pool_kernel(node: Node, x: Shape) -> Shape:
    p = pooling(node)
    field_names = {field.name for field, _ in p.ListFields()}
    kernel_fields = [name for name in ("kernel_size", "kernel_h", "kernel_w") if name in field_names]
    if p.global_pooling:
        if kernel_fields:
            raise node.error(f"global_pooling takes the whole plane: leave {kernel_fields[0]} out.")
        return x[2:]
    if kernel_fields not in (["kernel_size"], ["kernel_h", "kernel_w"]):
        raise node.error(
            f"it has {', '.join(kernel_fields) or 'no kernel_size'}; give kernel_size, or kernel_h and kernel_w."
        )
    return _each(node, len(x) - 2, "kernel_size", "kernel", 0)


def _each(node: Node, axes: int, field: str, pair: str, default: int) -> Shape:
    """One value per axis: from `pair`_h and `pair`_w for rows and columns, or from `field`, which a PoolingND may give
    for each axis."""
    p = pooling(node)
    if isinstance(p, pb.PoolingNDParameter):
        return _option(node, p, axes, field, pair, default=default, least=0)
    pair_fields = [name for name in (f"{pair}_h", f"{pair}_w") if p.HasField(name)]
    if pair_fields and (len(pair_fields) == 1 or p.HasField(field)):
        raise node.error(f"{pair_fields[0]} stands alone or with {field}; give {field}, or {pair}_h and {pair}_w.")
    if pair_fields and axes != 2:
        raise node.error(
            f"{pair_fields[0]} and {pair_fields[1]} are for 2 spatial axes, here are {axes}; give {field}."
        )
    return tuple(getattr(p, name) for name in pair_fields) or (getattr(p, field),) * axes


def by(sizes: Sequence[int]) -> str:
    """Sizes as messages show them: 3×3."""
    return "×".join(map(str, sizes))


def same(values: Shape) -> str:
    """Like `by`, but a single number if all are equal."""
    return str(values[0]) if len(set(values)) == 1 else by(values)
