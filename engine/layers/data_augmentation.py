"""DataAugmentation: crops pictures and subtracts their mean, as deployed nets of the FlowNets do."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.interp import resized_by, weights
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb

EDGE = 1.05
"""The fork reads no closer than this, in pixels, to the end of a row or column."""


@layer("DataAugmentation")
class DataAugmentation(Layer):
    """y = the middle of x of crop_height × crop_width, less a mean (FlowNet 2.0, without its random changes).

    With both crop sizes given, y is interpolated at the places of the middle, which end 1.05 pixels before the end of
    x, so that the last row and column are mixed with those before them even where the sizes are equal. The mean is,
    with recompute_mean n, that of the tops before, of each pixel or, with `mean_per_pixel: false`, of each channel; the
    first n passes learn it. Without, and with `mean_per_pixel: false`, it is the three values of `mean`.
    The fork computes it on GPUs only. Bottom: x (N, C, H, W). Top: y (N, C, H', W').
    Params: the number of passes (1, 1, 1, 1); with recompute_mean, the means of each pixel (1, C, H', W') and of each
    channel (1, C, 1, 1).
    """

    no_gradient = (0,)

    def setup(self, x: Shape) -> list[Shape]:
        p = self.config.augmentation_param
        fits.planes(self.node, x)
        self.crops = p.HasField("crop_width") and p.HasField("crop_height")
        self._check_random(p)
        top = (*x[:2], p.crop_height, p.crop_width) if self.crops else x
        if any(not 1 <= cut <= size for cut, size in zip(top[2:], x[2:], strict=True)):
            raise self.error(f"crop_height {top[2]} and crop_width {top[3]} do not fit {self.bottom(0)} of {list(x)}.")
        self.places = [
            np.maximum(0, np.minimum(np.arange(cut) + (size - cut) / 2, size - EDGE)).astype(np.float32)
            for cut, size in zip(top[2:], x[2:], strict=True)
        ]
        self.passes, self.by_pixel, self.mean = p.recompute_mean, p.mean_per_pixel, None
        states: list[tuple[str, Shape]] = [("number of passes", (1, 1, 1, 1))]
        if self.passes:
            states += [("mean of each pixel", (1, *top[1:])), ("mean of each channel", (1, top[1], 1, 1))]
        elif len(p.mean) == 3 and not self.by_pixel:
            if x[1] != 3:
                raise self.error(f"it has a mean of 3 values, and {self.bottom(0)} {x[1]} channels.")
            self.mean = np.array(p.mean, np.float32).reshape(1, 3, 1, 1)
        for name, shape in states:
            self.param(name, shape, pb.FillerParameter(), learned=False)
        return [top]

    def _check_random(self, p: pb.FlowAugmentationParameter) -> None:
        """Raises LayerError if the layer would change pictures at random."""
        random_fields = [field.name for field, _ in p.ListFields() if field.message_type is not None]
        if self.crops and random_fields and (self.phase == pb.TRAIN or p.augment_during_test):
            raise self.error(
                f"{random_fields[0]} changes pictures at random, which is not supported; transform_param has settings "
                "for augmentation."
            )

    def fitted(self, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        if not self.passes:
            return arrays[:1]
        if len(arrays) != 3 or arrays[1].ndim != 4:
            return arrays
        count, pixels, channels = arrays
        shape = self.params[1].shape
        if self.by_pixel:
            channels = pixels.mean((2, 3), keepdims=True)
        if pixels.shape != shape and pixels.shape[:2] == shape[:2]:
            pixels = np.broadcast_to(channels if self.by_pixel else np.zeros(1, np.float32), shape)
        return [count, pixels, channels]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        y, count = stop_gradient(bottoms[0]), params[0] + 1
        if self.crops:
            rows, columns = (weights(at, size, y.dtype) for at, size in zip(self.places, y.shape[2:], strict=True))
            y = resized_by(y, rows, columns, skip_same=False)
        if not self.passes:
            return [y if self.mean is None else y - self.mean], {0: count}
        learns = count <= self.passes
        pixels = jnp.where(learns, (params[1] * (count - 1) + jnp.mean(y, 0, keepdims=True)) / count, params[1])
        channels = jnp.where(learns, jnp.mean(pixels, (2, 3), keepdims=True), params[2])
        return [y - (pixels if self.by_pixel else channels)], {0: count, 1: pixels, 2: channels}
