"""DetectionEvaluate: which of a detector's detections are correct (Everingham et al. 2010, section 4.2)."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.data import annotation, annotation_files
from engine.errors import DataError
from engine.layers.base import Array, Arrays, Context, HostLayer, Shape
from engine.layers.registry import layer

Groups = dict[int, dict[int, np.ndarray]]
"""Image → class → the rows of that class."""


@layer("DetectionEvaluate")
class DetectionEvaluate(HostLayer):
    """Compares detections with the ground truth, so that the solver can compute average precision (SSD).

    Bottoms: detections (1, 1, M, 7), as DetectionOutput makes them; boxes (1, 1, G, 8): image, class, instance, xmin,
    ymin, xmax, ymax, difficult, up to the first with image −1. Top: (1, 1, R, 5): for each class but the background −1,
    class, number of boxes, −1, −1; then for each detection image, class, score, true positive, false positive (each 0
    or 1). Box coordinates are fractions of the image; with `name_size_file` (lines of name, height, width), boxes are
    compared in pixels, and the images come in that file's order, pass after pass.
    """

    bottoms = (2, 2)
    judges_detections = True

    def setup(self, detections: Shape, boxes: Shape) -> list[Shape]:
        p = self.config.detection_evaluate_param
        if not p.num_classes:
            raise self.error("detection_evaluate_param needs num_classes of 1 or more.")
        if p.overlap_threshold <= 0:
            raise self.error(f"overlap_threshold is {p.overlap_threshold:g}; it must be more than 0.")
        for i, shape, width in ((0, detections, 7), (1, boxes, 8)):
            if len(shape) != 4 or shape[:2] != (1, 1) or shape[3] != width:
                raise self.error(f"{self.bottom(i)} has shape {list(shape)}; it must be [1, 1, a number, {width}].")
        self.check_size("its top", (1, 1, p.num_classes + detections[2], 5))
        self.classes = [c for c in range(p.num_classes) if c != p.background_label_id]
        self.background, self.least_overlap = p.background_label_id, p.overlap_threshold
        self.difficult = p.evaluate_difficult_gt
        self.sizes_file = p.name_size_file or None
        self.resize = p.resize_param if p.HasField("resize_param") else None
        self.sizes: np.ndarray | None = None
        if self.sizes_file:
            self.remember("place in name_size_file", ())
        return [(1, 1, len(self.classes) + detections[2], 5)]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        predicted, truth = (np.asarray(stop_gradient(x))[0, 0] for x in bottoms)
        if self.sizes_file and self.sizes is None:
            try:
                _, self.sizes = annotation_files.read_sizes(Path(self.sizes_file))
            except DataError as e:
                raise self.error(f"its {e} Delete it to compare boxes as fractions of the picture.") from e
        place = int(params[0]) if self.sizes_file else 0
        ends = np.flatnonzero(np.trunc(truth[:, 0]) == -1)
        boxes = self._grouped(truth[: ends[0]] if len(ends) else truth, "boxes")
        detections = self._grouped(predicted[np.trunc(predicted[:, 0]) != -1], "detections")
        rows: list[tuple[float, ...]] = [(-1, c, self._count(boxes, c), -1, -1) for c in self.classes]
        for n, (picture, of_class) in enumerate(sorted(detections.items())):
            size = None if self.sizes is None else self.sizes[(place + n) % len(self.sizes)]
            for number, each in sorted(of_class.items()):
                if number != -1:
                    objects = boxes.get(picture, {}).get(number)
                    rows += [(picture, number, *row) for row in self._judged(each, objects, size)]
        count = len(self.classes) + int(np.count_nonzero(predicted[:, 1] != -1))
        top = np.zeros((1, 1, count, 5), np.float32)
        top[0, 0, : len(rows)] = rows
        after = jnp.float32((place + len(detections)) % len(self.sizes)) if self.sizes is not None else None
        return [jnp.asarray(top)], {} if after is None else {0: after}

    def _grouped(self, rows: np.ndarray, what: str) -> Groups:
        groups: defaultdict[int, defaultdict[int, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if not np.isfinite(row[:2]).all():
                raise self.error(f"one of its {what} has picture {row[0]:g} and class {row[1]:g}; give numbers.")
            if int(row[1]) == self.background:
                raise self.error(f"one of its {what} has class {self.background}, which is the background.")
            groups[int(row[0])][int(row[1])].append(row)
        return {picture: {c: np.stack(of) for c, of in classes.items()} for picture, classes in groups.items()}

    def _count(self, boxes: Groups, number: int) -> int:
        """The number of ground-truth boxes of the class `number`."""
        rows = [classes[number] for classes in boxes.values() if number in classes]
        return sum(len(each) if self.difficult else int(np.sum(each[:, 7] == 0)) for each in rows)

    def _judged(
        self, predicted: np.ndarray, objects: np.ndarray | None, size: np.ndarray | None
    ) -> Iterator[tuple[float, int, int]]:
        """Yields score, true positive and false positive of each detection. A detection is true if it overlaps its best
        box enough and is the first to do so."""
        if objects is None:
            yield from ((score, 0, 1) for score in predicted[:, 2])
            return
        predicted = predicted[np.argsort(-predicted[:, 2], kind="stable")]
        matched: set[int] = set()
        overlaps = _overlaps(
            *(self._shown(x[:, 3:7], size) for x in (predicted, objects)),
            more=size is not None,
            larger=size is not None and not annotation.told_by_scales(self.resize),
        )
        for score, shares in zip(predicted[:, 2], overlaps, strict=True):
            best = int(np.argmax(shares))
            if shares[best] < self.least_overlap:
                yield score, 0, 1
            elif self.difficult or objects[best, 7] == 0:
                yield score, int(best not in matched), int(best in matched)
                matched.add(best)
            else:
                yield score, 0, 0

    def _shown(self, boxes: np.ndarray, size: np.ndarray | None) -> np.ndarray:
        return boxes if size is None else annotation.in_picture(boxes, int(size[0]), int(size[1]), self.resize)


def _overlaps(a: np.ndarray, b: np.ndarray, *, more: bool, larger: bool) -> np.ndarray:
    """Intersection over union of boxes a (A, 4) and b (B, 4): (A, B). In pixels, the last row and column belong to a
    box: `more` adds one to the sides of the intersection, `larger` to those of each box. The fork does not always do
    both."""

    def area(boxes: np.ndarray) -> np.ndarray:
        side = boxes[:, 2:] - boxes[:, :2]
        return np.where(np.all(side >= 0, 1), np.prod(side + np.float32(larger), 1), 0)

    apart = np.any((b[None, :, :2] > a[:, None, 2:]) | (b[None, :, 2:] < a[:, None, :2]), -1)
    side = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    side = np.where(apart[..., None], 0, side) + np.float32(more)  # even for disjoint boxes, as in the fork
    common = np.prod(side, -1)
    union = area(a)[:, None] + area(b)[None] - common
    return np.where(np.all(side > 0, -1), common / np.where(union == 0, 1, union), 0)
