"""PriorBox: the boxes that a detector's predictions are offsets from (Liu et al. 2016); PriorBoxClustered."""

from collections.abc import Iterator
from math import sqrt

import jax.numpy as jnp
import numpy as np

from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.registry import layer

_SAME = 1e-6
"""Aspect ratios nearer to each other than this are one."""


@layer("PriorBox")
class PriorBox(Layer):
    """Boxes around each place of a feature map, as parts of the picture, and their variances (SSD).

    At each place, for each min_size: a square of it, one of √(min_size · max_size), and min_size stretched to each
    aspect_ratio a and, with `flip`, 1/a. Sizes are whole pixels: fractions are cut off, as in the fork.
    Bottoms: features (N, C, H, W), and the picture (N, 3, h, w), of which only the size counts.
    Top: (1, 2, H · W · boxes · 4): xmin, ymin, xmax, ymax of each box; the variances of each.
    """

    bottoms = (1, 2)

    def setup(self, features: Shape, picture: Shape = ()) -> list[Shape]:
        for i, shape in enumerate((features, picture)[: len(self.config.bottom)]):
            if len(shape) != 4:
                raise self.error(f"{self.bottom(i)} has shape {list(shape)}; 4 axes are needed: num, channels, h, w.")
        if not count(features[2:]):
            raise self.error(f"{self.bottom(0)} of shape {list(features)} has no place for a box.")
        height, width = self._picture_size(picture)
        rows, columns = features[2:]
        step_y, step_x = self._step(height / rows, width / columns)
        offset = np.float32(self.config.prior_box_param.offset)
        y = (np.arange(rows, dtype=np.float32) + offset) * np.float32(step_y)
        x = (np.arange(columns, dtype=np.float32) + offset) * np.float32(step_x)
        sizes = np.array(list(self._sizes()), np.float32).astype(np.float64)  # halved and divided in double, as there
        centres = np.stack(np.broadcast_arrays(x, y[:, None]), -1)[:, :, None].astype(np.float64)
        corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], -1)
        boxes = (corners / [width, height, width, height]).astype(np.float32)
        if self.config.prior_box_param.clip:
            boxes = np.clip(boxes, 0, 1)
        variances = np.broadcast_to(np.array(self._variances(), np.float32), boxes.shape)
        self.made = np.stack([boxes.ravel(), variances.ravel()])[None]
        return [self.made.shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [jnp.asarray(self.made)]

    def propagates_to(self, bottom: int) -> bool:
        return False

    def _sizes(self) -> Iterator[tuple[float, float]]:
        """Width and height of the boxes at one place, in the picture's pixels."""
        p = self.config.prior_box_param
        if not p.min_size:
            raise self.error("prior_box_param needs a min_size.")
        if p.max_size and len(p.max_size) != len(p.min_size):
            raise self.error(
                f"it has {len(p.min_size)} min_size and {len(p.max_size)} max_size; give as many, or none."
            )
        ratios = self._ratios()
        for i, least in enumerate(p.min_size):
            if least <= 0:
                raise self.error(f"min_size is {least:g}; it must be more than 0.")
            size = int(least)
            first = size * 0.5 if p.reduce_boxes and i == 0 else size
            yield first, first
            if p.max_size:
                if p.max_size[i] <= least:
                    raise self.error(f"max_size is {p.max_size[i]:g}; it must be more than its min_size, {least:g}.")
                yield (sqrt(size * int(p.max_size[i])),) * 2
            yield from ((size * sqrt(ratio), size / sqrt(ratio)) for ratio in ratios)

    def _ratios(self) -> list[float]:
        """The aspect ratios besides 1."""
        p = self.config.prior_box_param
        found = [1.0]
        for ratio in p.aspect_ratio:
            if ratio <= 0:
                raise self.error(f"aspect_ratio is {ratio:g}; it must be more than 0.")
            if all(abs(ratio - known) >= _SAME for known in found):
                found += [ratio, float(np.float32(1 / ratio))] if p.flip else [ratio]
        return [ratio for ratio in found if abs(ratio - 1) >= _SAME]

    def _variances(self) -> list[float]:
        given = list(self.config.prior_box_param.variance)
        if len(given) not in (0, 1, 4) or any(v <= 0 for v in given):
            raise self.error(
                f"variance is {[float(f'{v:g}') for v in given]}; give one or four numbers above 0, or none."
            )
        return given or [0.1]

    def _picture_size(self, picture: Shape) -> tuple[int, int]:
        p = self.config.prior_box_param
        if p.HasField("img_h") or p.HasField("img_w"):
            if p.HasField("img_size"):
                raise self.error("it has img_size and img_h or img_w; give the one, or both of the others.")
            size = p.img_h, p.img_w
        elif p.HasField("img_size"):
            size = p.img_size, p.img_size
        elif picture:
            size = picture[2], picture[3]
        else:
            raise self.error("it needs the picture as a second bottom, or img_size, to know how large the picture is.")
        if not all(size):
            raise self.error(f"the picture's height and width are {size[0]} and {size[1]}; both must be 1 or more.")
        return size

    def _step(self, *usual: float) -> tuple[float, float]:
        """How many of the picture's pixels lie between two places, down and across."""
        p = self.config.prior_box_param
        if p.HasField("step_h") or p.HasField("step_w"):
            if p.HasField("step"):
                raise self.error("it has step and step_h or step_w; give the one, or both of the others.")
            steps = p.step_h, p.step_w
        elif p.HasField("step"):
            steps = p.step, p.step
        else:
            return usual[0], usual[1]
        if min(steps) <= 0:
            raise self.error(f"the steps down and across are {steps[0]:g} and {steps[1]:g}; both must be more than 0.")
        return steps


@layer("PriorBoxClustered")
class PriorBoxClustered(PriorBox):
    """A PriorBox whose boxes have the sizes of width and height, in the picture's pixels (OpenVINO's models)."""

    def _sizes(self) -> Iterator[tuple[float, float]]:
        p = self.config.prior_box_param
        if not p.width or len(p.width) != len(p.height):
            raise self.error(f"it has {len(p.width)} width and {len(p.height)} height; give as many, one or more.")
        if min(*p.width, *p.height) <= 0:
            raise self.error("each width and height must be above 0.")
        yield from zip(p.width, p.height, strict=True)
