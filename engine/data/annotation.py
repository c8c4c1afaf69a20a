"""Boxes annotated on pictures, and how they change when a picture is cropped, mirrored or resized.

Boxes are rows (n, 7), float32: class, instance, xmin, ymin, xmax, ymax as fractions of the picture, difficult. A part
of a picture is xmin, ymin, xmax, ymax (4), as fractions too.
"""

from typing import TypeGuard

import numpy as np

from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

CORNERS = np.s_[:, 2:6]

WHOLE = np.array([0, 0, 1, 1], np.float32)
"""The whole picture, as a part of it."""


def boxes_of(record: pb.AnnotatedDatum) -> np.ndarray:
    """The boxes of a record."""
    rows = [
        (group.group_label, each.instance_id, *(getattr(each.bbox, name) for name in _SIDES), each.bbox.difficult)
        for group in record.annotation_group
        for each in group.annotation
    ]
    return np.array(rows, np.float32).reshape(-1, 7)


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def area(boxes: np.ndarray) -> np.ndarray:
    """The areas of boxes (…, 4); 0 for a box whose corners are the wrong way round."""
    side = boxes[..., 2:] - boxes[..., :2]
    return np.where(np.all(side >= 0, -1), np.prod(side, -1), 0)


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The areas of the intersections of boxes a (…, 4) and b (…, 4), which are broadcast."""
    side = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common: np.ndarray = np.prod(np.maximum(side, 0), -1)
    return common


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union; 0 if there is no intersection."""
    return _share(intersection(a, b), area(a) + area(b) - intersection(a, b))


def coverage(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The fraction of a's area that is inside b."""
    return _share(intersection(a, b), area(a))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(part > 0, part / np.where(part > 0, whole, 1), 0)


def within(boxes: np.ndarray, part: np.ndarray, emit: pb.EmitConstraint | None) -> np.ndarray:
    """The boxes of a picture that remain in its `part` (4), clipped to it and expressed as fractions of it.

    Boxes that do not intersect it are dropped; with `emit`, so are those whose centre is outside it (CENTER), or of
    whose area no more than emit_overlap is inside.
    """
    corners = boxes[CORNERS]
    kept = np.all((corners[:, :2] < part[2:]) & (corners[:, 2:] > part[:2]), 1)
    if emit is not None and emit.emit_type == emit.CENTER:
        centre = (corners[:, :2] + corners[:, 2:]) / 2
        kept &= np.all((centre >= part[:2]) & (centre <= part[2:]), 1)
    elif emit is not None:
        kept &= coverage(corners, part) > emit.emit_overlap
    clipped = boxes[kept].copy()
    size = part[2:] - part[:2]
    clipped[CORNERS] = np.clip((clipped[CORNERS] - np.tile(part[:2], 2)) / np.tile(size, 2), 0, 1)
    return clipped[area(clipped[CORNERS]) > 0]


def mirrored(boxes: np.ndarray) -> np.ndarray:
    """The boxes of a picture after it is flipped horizontally."""
    flipped = boxes.copy()
    flipped[:, 2], flipped[:, 4] = 1 - boxes[:, 4], 1 - boxes[:, 2]
    return flipped


def resized(boxes: np.ndarray, height: int, width: int, param: pb.ResizeParameter) -> np.ndarray:
    """The boxes of a picture of `height` × `width` after a `resize_param`, as fractions of the result with its padding.

    A side beyond the picture is moved to the edge of the result, padding included, as in the fork.
    """
    start: np.ndarray = np.zeros(2, np.float32)
    share: np.ndarray = np.ones(2, np.float32)
    if param.resize_mode == param.FIT_LARGE_SIZE_AND_PAD:
        aspect, new = width / height, param.width / param.height
        share = np.array([1, new / aspect] if aspect > new else [aspect / new, 1], np.float32)
        start = (1 - share) / 2
    fitted = boxes.copy()
    fitted[:, 2:4] = start + np.maximum(boxes[:, 2:4] * share, 0)
    fitted[:, 4:6] = start + np.minimum(boxes[:, 4:6] * share, 1)
    return fitted


def told_by_scales(param: pb.ResizeParameter | None) -> TypeGuard[pb.ResizeParameter]:
    """Whether boxes are given in units of width_scale and height_scale."""
    return (
        param is not None and param.resize_mode == param.FIT_SMALL_SIZE and param.height_scale * param.width_scale > 0
    )


def extent(height: int, width: int, param: pb.ResizeParameter | None) -> tuple[float, float] | None:
    """The width and height, in units of width_scale and height_scale, of a picture of `height` × `width` after
    `resize_param`; None unless this gives both scales and FIT_SMALL_SIZE."""
    if not told_by_scales(param):
        return None
    aspect, new = width / height, param.width / param.height
    size = (param.width, param.width / aspect) if aspect < new else (param.height * aspect, param.height)
    return size[0] / param.width_scale, size[1] / param.height_scale


def scaled(boxes: np.ndarray, part: np.ndarray, extent: tuple[float, float]) -> np.ndarray:
    """Converts boxes from fractions of the `part` (4) of a picture to units of width_scale and height_scale; see
    `extent`. Raises DataError if the part is smaller than these.
    """
    factor = np.array(extent) * (part[2:] - part[:2])
    if np.any(factor < 1):
        raise DataError("becomes smaller than resize_param's width_scale and height_scale; give smaller ones")
    grown = boxes.copy()
    grown[CORNERS] *= np.tile(factor, 2)
    return grown


def in_picture(boxes: np.ndarray, height: int, width: int, resize: pb.ResizeParameter | None = None) -> np.ndarray:
    """Converts boxes (…, 4) from fractions of a net's input to pixels of the picture, `height` × `width` before
    `resize`."""
    scale = np.array([width, height, width, height], np.float32)
    if resize is not None and resize.resize_mode == resize.FIT_LARGE_SIZE_AND_PAD:
        shape, aspect = resize.width / resize.height, width / height
        across, down = (0, (1 - shape / aspect) / 2) if aspect > shape else ((1 - aspect / shape) / 2, 0)
        start, share = np.array([across, down] * 2), np.array([1 - 2 * across, 1 - 2 * down] * 2)
        beside = np.any((boxes[..., :2] >= start[2:] + share[2:]) | (boxes[..., 2:] <= start[:2]), -1, keepdims=True)
        boxes = np.where(beside, boxes, (boxes - start) / share)  # boxes in the padding stay, as in the fork
    if told_by_scales(resize):
        scales = np.array([resize.width_scale, resize.height_scale] * 2, np.float32)
        return np.clip(boxes * scales, 0, scale)
    pixels: np.ndarray = np.clip(boxes, 0, 1).astype(np.float32) * scale
    return pixels
