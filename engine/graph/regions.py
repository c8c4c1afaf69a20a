"""The shapes of layers that pool regions of interest, computed without JAX. Each function raises LayerError if the
settings do not fit the bottoms."""

from math import isfinite, prod

from engine.graph import fits, predictions
from engine.graph.graph import Node

Shape = tuple[int, ...]

MSCNN = ("BoxGroupOutput", "BoxOutput", "DecodeBBox", "ProposalTarget", "ScaleRoute")
"""Layer types by which nets of MS-CNN and Cascade R-CNN are recognised: each has at least one."""


def check(node: Node, x: Shape, rois: Shape, scale: float) -> None:
    """Checks that the bottoms are maps and regions; `scale`: the maps' size relative to the picture."""
    fits.planes(node, x)
    if 0 in x[2:]:
        raise node.error(f"{node.bottom(0)} of shape {list(x)} has no place for a region.")
    if len(rois) < 2 or rois[1] != 5 or prod(rois[2:]) != 1:
        raise node.error(
            f"{node.bottom(1)} has shape {list(rois)}; it must be R × 5: picture, x1, y1, x2, y2 of each region."
        )
    if not (scale > 0 and isfinite(scale)):
        raise node.error(f"spatial_scale is {scale:g}; it must be above 0: 0.0625 if a map is 1/16 of the picture.")


def pooled(node: Node, x: Shape, rois: Shape) -> Shape:
    """The top of a ROIPooling or ROIAlign: a grid of bins for each region; MS-CNN's ROIAlign returns their corners."""
    p = node.config.roi_pooling_param
    check(node, x, rois, p.spatial_scale)
    if not (p.pooled_h and p.pooled_w):
        raise node.error(f"pooled_h is {p.pooled_h} and pooled_w {p.pooled_w}; both must be 1 or more.")
    corners = node.config.type == "ROIAlign" and not node.beside.isdisjoint(MSCNN)
    return rois[0], x[1], p.pooled_h + corners, p.pooled_w + corners


def warped(node: Node, x: Shape, rois: Shape) -> Shape:
    """The top of a ROIWarping: a grid of bins for each region (Multi-task Network Cascades)."""
    p = node.config.roi_warping_param
    check(node, x, rois, p.spatial_scale)
    if not (p.pooled_h and p.pooled_w):
        raise node.error(f"pooled_h is {p.pooled_h} and pooled_w {p.pooled_w}; both must be 1 or more.")
    return rois[0], x[1], p.pooled_h, p.pooled_w


def masked(node: Node, x: Shape, mask: Shape) -> Shape:
    """The top of a MaskPooling: like x, for which there must be a mask of the same size for each item."""
    predictions.one_a_place(node, x, mask)
    return x


def resized(node: Node, x: Shape) -> Shape:
    """The top of a MaskResize: x resized to output_height × output_width."""
    p = node.config.mask_resize_param
    fits.planes(node, x)
    if 0 in x[2:]:
        raise node.error(f"{node.bottom(0)} of shape {list(x)} has no place to look at.")
    if not (p.output_height and p.output_width):
        raise node.error(
            f"output_height is {p.output_height} and output_width {p.output_width}; both must be 1 or more."
        )
    return *x[:2], p.output_height, p.output_width


def position_sensitive(node: Node, x: Shape, rois: Shape) -> Shape:
    """The top of a PSROIPooling: group_size × group_size bins for each region, in output_dim channels (R-FCN)."""
    p = node.config.psroi_pooling_param
    for field in ("spatial_scale", "output_dim", "group_size"):
        if not p.HasField(field):
            raise node.error(f"psroi_pooling_param needs {field}.")
    check(node, x, rois, p.spatial_scale)
    if p.output_dim < 1 or p.group_size < 1:
        raise node.error(f"output_dim is {p.output_dim} and group_size {p.group_size}; both must be 1 or more.")
    if x[1] != p.output_dim * p.group_size**2:
        raise node.error(
            f"{node.bottom(0)} has {x[1]} channels; output_dim {p.output_dim} and group_size {p.group_size} need "
            f"{p.output_dim * p.group_size**2}."
        )
    return rois[0], p.output_dim, p.group_size, p.group_size
