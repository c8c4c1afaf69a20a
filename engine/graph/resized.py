"""The shapes of layers that change the size of planes, computed without JAX: Interp, Upsample of two forks, Reorg. Each
function raises LayerError if the settings do not fit the bottom."""

from typing import NamedTuple

from engine.graph import fits
from engine.graph.graph import Node
from engine.graph.windows import by

Shape = tuple[int, ...]
Pair = tuple[int, int]


class Interpolated(NamedTuple):
    """How an Interp treats x: the first row and column that it keeps, the height and width that it keeps, and those of
    the top."""

    begin: int
    cropped: Pair
    outputs: Pair


def interpolated(node: Node, x: Shape) -> Interpolated:
    """How an Interp treats x (N, C, H, W)."""
    p = node.config.interp_param
    fits.planes(node, x)
    if p.pad_beg > 0 or p.pad_end > 0:
        raise node.error(f"pad_beg is {p.pad_beg} and pad_end {p.pad_end}; they crop, and must be 0 or below.")
    height, width = (d + p.pad_beg + p.pad_end for d in x[2:])
    if min(height, width) < 1:
        raise node.error(f"pad_beg {p.pad_beg} and pad_end {p.pad_end} leave nothing of {by(x[2:])}.")
    outputs = _interpolated(node, height, p.height), _interpolated(node, width, p.width)
    return Interpolated(-p.pad_beg, (height, width), outputs)


def padded(node: Node, x: Shape) -> Shape:
    """The top of a Padding."""
    p = node.config.padding_param
    fits.planes(node, x)
    if p.pad_beg * p.pad_end < 0:
        raise node.error(f"pad_beg is {p.pad_beg} and pad_end {p.pad_end}; give both 0 or above, or both 0 or below.")
    height, width = (d + p.pad_beg + p.pad_end for d in x[2:])
    if min(height, width) < 1:
        raise node.error(f"pad_beg {p.pad_beg} and pad_end {p.pad_end} leave nothing of {by(x[2:])}.")
    return (*x[:2], height, width)


def rescaled(node: Node, x: Shape) -> Shape:
    """The top of a Resize: of the given size, or with is_pyramid_test of x's times the factors, rounded down."""
    p = node.config.resize_param
    fits.planes(node, x)
    by_factor = p.is_pyramid_test
    names = ("out_height_scale", "out_width_scale") if by_factor else ("height", "width")
    if not all(p.HasField(name) for name in names):
        setting = "true" if by_factor else "false"
        raise node.error(f"resize_param needs {names[0]} and {names[1]}, since is_pyramid_test is {setting}.")
    if p.HasField("type") and p.type != p.BILINEAR:
        raise node.error("its type is NEAREST; BILINEAR is supported.")
    sizes = p.height, p.width
    if by_factor:
        factors = (p.out_height_scale, p.out_width_scale)
        if not all(0 < factor < 2**31 for factor in factors):
            raise node.error(f"out_height_scale is {factors[0]:g} and out_width_scale {factors[1]:g}; give above 0.")
        sizes = int(factors[0] * x[2]), int(factors[1] * x[3])
    if min(sizes) < 1 or min(x[2:]) < 1:
        raise node.error(f"it makes {by(sizes)} of {by(x[2:])}; 1 by 1 is the least.")
    return (*x[:2], *sizes)


def _interpolated(node: Node, size: int, target: int) -> int:
    """How many rows or columns `size` of them are resized to; `target`: the layer's height or width."""
    p = node.config.interp_param
    shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
    sized = p.HasField("height") and p.HasField("width")
    if min(p.shrink_factor, p.zoom_factor) < 1:
        raise node.error(f"shrink_factor {p.shrink_factor} and zoom_factor {p.zoom_factor} must be 1 or more.")
    if sized and not shrinks ^ zooms:
        if target < 1:
            raise node.error(f"height {p.height} and width {p.width} must be 1 or more.")
        return target
    if not (shrinks or zooms):
        raise node.error("interp_param needs height and width, or zoom_factor, or shrink_factor.")
    size = (size - 1) // p.shrink_factor + 1
    return size + (size - 1) * (p.zoom_factor - 1)


def with_mask(node: Node, x: Shape, mask: Shape) -> None:
    """Checks that x is (N, C, H, W), and that the mask, which says where its values belong, has the same shape."""
    fits.planes(node, x)
    if mask != x:
        raise node.error(
            f"{node.bottom(1)} has shape {list(mask)} and {node.bottom(0)} {list(x)}; the mask is the second "
            "top of the pooling that is undone, and must have the same shape."
        )


def masked(node: Node, x: Shape, mask: Shape) -> Pair:
    """The rows and columns of the top of an Upsample with a mask (SegNet)."""
    p = node.config.upsample_param
    with_mask(node, x, mask)
    if p.HasField("upsample_h") != p.HasField("upsample_w"):
        raise node.error("upsample_h and upsample_w go together; give both, or scale.")
    if p.HasField("upsample_h"):
        size = p.upsample_h, p.upsample_w
    else:
        h, w = _scales(node)
        for side, scale, padded in (("h", h, p.pad_out_h), ("w", w, p.pad_out_w)):
            if scale < 2:
                raise node.error(f"its scale is {scale} along {side}; with a mask it must be 2 or more.")
            if padded and scale != 2:
                raise node.error(f"pad_out_{side} is for a scale of 2; it is {scale}. Give upsample_h and upsample_w.")
        size = x[2] * h - p.pad_out_h, x[3] * w - p.pad_out_w
    if min(size) < 1:
        raise node.error(f"its top would be {by(size)}; both must be 1 or more.")
    return size


def _scales(node: Node) -> Pair:
    p = node.config.upsample_param
    if p.HasField("scale_h") != p.HasField("scale_w") or (p.HasField("scale_h") and p.HasField("scale")):
        raise node.error("give scale, or scale_h and scale_w.")
    return (p.scale_h, p.scale_w) if p.HasField("scale_h") else (p.scale, p.scale)


def repetitions(node: Node, x: Shape) -> int:
    """How often an Upsample without a mask repeats each value along both rows and columns (MobileNet-YOLO)."""
    p = node.config.upsample_param
    fits.planes(node, x)
    for field in ("scale_h", "scale_w", "pad_out_h", "pad_out_w", "upsample_h", "upsample_w"):
        if p.HasField(field):
            raise node.error(f"{field} is for an Upsample with a mask, its second bottom; here is one bottom.")
    scale = p.scale if p.HasField("scale") else 1
    if scale < 1:
        raise node.error("scale is 0; it must be 1 or more.")
    return scale


def reorganized(node: Node, x: Shape) -> Shape:
    """The top of a Reorg: x (N, C, H, W) with squares of `stride` × `stride` positions moved to channels, or back (YOLO
    v2)."""
    p = node.config.reorg_param
    s, area = p.stride, p.stride**2
    if not s:
        raise node.error("reorg_param needs a stride of 1 or more.")
    if len(x) != 4 or x[1] % area:
        raise node.error(f"{node.bottom(0)} has shape {list(x)}; it must be (N, C, H, W), with C a multiple of {area}.")
    n, c, h, w = x
    if p.reverse:
        return n, c // area, h * s, w * s
    if h % s or w % s:
        raise node.error(f"{node.bottom(0)} is of {h}×{w}; both must be multiples of the stride, {s}.")
    return n, c * area, h // s, w // s
