"""The training targets of each location of several maps, from the boxes in a picture: the labels of MS-CNN (Cai et al.
2016).

Each location has a field, a box of fixed size around it, which is compared with the objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.data.rounding import round_half_away

CHANNELS = 6
"""Channels of labels: class, centre x and y, width, height, overlap."""

CROWDED = 0.4
"""The fraction of a field's area from which on, if covered by regions of no interest, its location is left out."""

LEAST_OVERLAP = 0.2
"""The least overlap with some field that an object needs to be learned at all."""


@dataclass(frozen=True)
class Fields:
    """The fields of one map: its height and width in locations, their distance (stride) in pixels, and the size of the
    field around each in pixels."""

    height: int
    width: int
    stride: int
    field_height: int
    field_width: int

    def corners(self) -> np.ndarray:
        """The fields (H, W, 4): x1, y1, x2, y2."""
        across, down = np.meshgrid(*((np.arange(n) + 0.5) * self.stride for n in (self.width, self.height)))
        half = np.array([self.field_width, self.field_height]) / 2
        middle = np.stack([across, down], -1)
        return np.concatenate([middle - half, middle + half], -1).astype(np.float32)


@dataclass(frozen=True)
class Boxes:
    """The boxes of one picture: corners (K, 4) of objects, in pixels, their classes (K), and whether each is ignored
    (K); and regions of no interest (M, 4). inside: x1, y1, x2, y2 of the part of the maps' area that the picture
    covers."""

    corners: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    regions: np.ndarray
    inside: tuple[int, int, int, int]


def labels(boxes: Boxes, maps: Sequence[Fields], threshold: float) -> list[np.ndarray]:
    """The labels (6, H, W) of each map: class (0 for background), centre, size, and the largest overlap with an object.

    A location learns the object that its field overlaps most, if by more than `threshold`. If that object is ignored,
    it learns nothing, which class 0 together with that overlap expresses. Fields in regions of no interest, and outside
    the picture, have overlap 1. An object that no location learns is assigned to the location of its centre, in the map
    with the field that overlaps it most.
    """
    label_maps, best = [], []
    learned = np.zeros(len(boxes.corners), bool)
    for fields in maps:
        usable = _inside(fields, boxes.inside) & ~_crowded(fields, boxes.regions)
        shares = np.where(usable[..., None], _shares(boxes.corners, fields.corners()), 0)
        label_maps.append(_of_map(boxes, usable, shares, threshold, learned))
        best.append(shares.max((0, 1), initial=0))
    for k in np.flatnonzero(~learned & ~boxes.ignored):
        overlaps = [of_map[k] for of_map in best]
        if max(overlaps) >= LEAST_OVERLAP:
            at = int(np.argmax(overlaps))
            _add(label_maps[at], maps[at], boxes, int(k))
    return label_maps


def _of_map(boxes: Boxes, usable: np.ndarray, shares: np.ndarray, threshold: float, learned: np.ndarray) -> np.ndarray:
    """One map's labels, from overlaps `shares` (H, W, K); marks in `learned` (K) the objects that it learns."""
    label_map = np.zeros((CHANNELS, *usable.shape), np.float32)
    label_map[5] = np.where(usable, shares.max(2, initial=0), 1)
    if shares.shape[2]:
        nearest = shares.argmax(2)
        assigned = usable & (label_map[5] > threshold)
        label_map[0] = np.where(assigned & ~boxes.ignored[nearest], boxes.classes[nearest], 0)
        label_map[1:5] = np.where(assigned, np.moveaxis(_placed(boxes.corners)[nearest], 2, 0), 0)
        learned[nearest[assigned]] = True
    return label_map


def _add(label_map: np.ndarray, fields: Fields, boxes: Boxes, k: int) -> None:
    """Makes the location of its centre learn object k, unless that learns another."""
    placed = _placed(boxes.corners[k])
    column, row = (int(np.floor(v / fields.stride)) for v in placed[:2])
    at = min(max(row, 0), fields.height - 1), min(max(column, 0), fields.width - 1)
    if label_map[0][at] <= 0:
        label_map[0][at], label_map[1:5, at[0], at[1]] = boxes.classes[k], placed


def _inside(fields: Fields, inside: tuple[int, int, int, int]) -> np.ndarray:
    """(H, W): whether each location is on the picture."""
    x1, y1, x2, y2 = inside
    left, top, width, height = (round_half_away(v / fields.stride) for v in (x1, y1, x2 - x1, y2 - y1))
    column, row = np.arange(fields.width), np.arange(fields.height)[:, None]
    return (column >= left) & (column < left + width) & (row >= top) & (row < top + height)


def _crowded(fields: Fields, regions: np.ndarray) -> np.ndarray:
    """(H, W): whether regions of no interest cover too much of each field."""
    corners = fields.corners()
    area = fields.field_width * fields.field_height
    covered = sum((_common(region, corners) / area for region in regions), np.zeros(corners.shape[:2]))
    return np.asarray(covered >= CROWDED)


def _shares(objects: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """(H, W, K): intersection over union of objects (K, 4) and fields (H, W, 4)."""
    common = (
        np.stack([_common(each, fields) for each in objects], -1) if len(objects) else np.zeros((*fields.shape[:2], 0))
    )
    areas = np.prod(np.maximum(objects[:, 2:] - objects[:, :2], 0), -1)
    shares: np.ndarray = common / (areas + np.prod(fields[..., 2:] - fields[..., :2], -1)[..., None] - common)
    return shares


def _common(box: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """(H, W): the area of the intersection of a box (4) and each field (H, W, 4); 0 for a box without an area."""
    side = np.minimum(box[2:], fields[..., 2:]) - np.maximum(box[:2], fields[..., :2])
    common: np.ndarray = np.where(np.all(box[2:] > box[:2]), np.prod(np.maximum(side, 0), -1), 0)
    return common


def _placed(corners: np.ndarray) -> np.ndarray:
    """Corners (…, 4) converted to centre and size (…, 4)."""
    return np.concatenate([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], -1)
