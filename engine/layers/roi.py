"""Layers that pool regions of interest: ROIPooling, PSROIPooling, and ROIAlign of two forks."""

import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.graph import regions
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.roi import bin_lengths, max_of_bins, round_half_away, sample_weights, span_weights, weighted_bins

SAMPLES = 2
"""Sampling points of ROIAlign along each axis of a bin, as in the paper's experiments."""


class _PoolsRegions(Layer):
    """Pools a grid of bins in each region. Regions are rows of (image, x1, y1, x2, y2), in pixels of the image."""

    bottoms = (2, 2)
    scale: float

    def propagates_to(self, bottom: int) -> bool:
        return bottom == 0

    def regions(self, rois: Array) -> tuple[Array, Array]:
        """The image of each region (R), and its corners x1, y1, x2, y2 (4, R)."""
        rows = stop_gradient(rois).reshape(-1, 5)
        return rows[:, 0].astype(jnp.int32), rows[:, 1:].T


class _Grid(_PoolsRegions):
    """A grid of `pooled_h` × `pooled_w` bins in each region."""

    def setup(self, x: Shape, rois: Shape) -> list[Shape]:
        p = self.config.roi_pooling_param
        shape = regions.pooled(self.node, x, rois)
        self.bins, self.scale, self.pad = (p.pooled_h, p.pooled_w), p.spatial_scale, p.pad_ratio
        return [shape]

    def regions(self, rois: Array) -> tuple[Array, Array]:
        """As in the base class, but extended at each side by `pad_ratio` times their size, which includes the last
        pixels (MS-CNN)."""
        pictures, corners = super().regions(rois)
        if not self.pad:
            return pictures, corners
        margin = (corners[2:] - corners[:2] + 1) * self.pad
        return pictures, jnp.concatenate([corners[:2] - margin, corners[2:] + margin])


@layer("ROIPooling")
class ROIPooling(_Grid):
    """The maximum of each of pooled_h × pooled_w bins in each region, 0 for a bin outside the map (Girshick 2015).

    A region is rounded to whole elements of the map, at least one; bins overlap if it does not divide evenly. The
    gradient goes to the first maximum of a bin; a region with reversed corners passes no gradient, as in Caffe.
    Bottoms: x (N, C, H, W); regions (R, 5): image, x1, y1, x2, y2, both ends included, in pixels of the image.
    Top: (R, C, pooled_h, pooled_w).
    """

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, rois = bottoms
        pictures, corners = self.regions(rois)
        x1, y1, x2, y2 = round_half_away(corners * self.scale)
        rows = self._bounds(y1, y2, self.bins[0], x.shape[2])
        columns = self._bounds(x1, x2, self.bins[1], x.shape[3])
        return [max_of_bins(x, pictures, rows, columns, (x2 >= x1) & (y2 >= y1))]

    @staticmethod
    def _bounds(first: Array, last: Array, bins: int, size: int) -> tuple[Array, Array]:
        length = bin_lengths(jnp.maximum(last - first + 1, 1), bins)
        number = jnp.arange(bins)
        start = jnp.floor(number * length) + first[:, None]
        end = jnp.ceil((number + 1) * length) + first[:, None]
        return jnp.clip(start, 0, size).astype(jnp.int32), jnp.clip(end, 0, size).astype(jnp.int32)


@layer("PSROIPooling")
class PSROIPooling(_PoolsRegions):
    """The mean of each of k × k bins in each region, each bin taken from its own channels (R-FCN, Dai et al. 2016).

    Bin (i, j) of output channel d is the mean of channel (d · k + i) · k + j, or 0 outside the map. k is group_size.
    Bottoms: x (N, output_dim · k², H, W); regions (R, 5): image, x1, y1, x2, y2, both ends included. Top:
    (R, output_dim, k, k).
    """

    def setup(self, x: Shape, rois: Shape) -> list[Shape]:
        p = self.config.psroi_pooling_param
        shape = regions.position_sensitive(self.node, x, rois)
        self.dim, self.group, self.scale = p.output_dim, p.group_size, p.spatial_scale
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, rois = bottoms
        pictures, corners = self.regions(rois)
        x1, y1, x2, y2 = round_half_away(corners)
        rows, columns = self._weights(y1, y2, x.shape[2]), self._weights(x1, x2, x.shape[3])
        maps = x.reshape(x.shape[0], self.dim, self.group, self.group, *x.shape[2:])
        return [weighted_bins(maps, pictures, rows, columns)]

    def _weights(self, first: Array, last: Array, size: int) -> Array:
        start = first * self.scale
        length = bin_lengths(jnp.maximum((last + 1) * self.scale - start, 0.1), self.group)
        number = jnp.arange(self.group)
        begin = jnp.floor(number * length + start[:, None])
        end = jnp.ceil((number + 1) * length + start[:, None])
        return span_weights(jnp.clip(begin, 0, size), jnp.clip(end, 0, size), size)


@layer("ROIAlign")
class ROIAlign(_Grid):
    """The mean of 2 × 2 bilinearly interpolated points in each of pooled_h × pooled_w bins (He et al. 2017).

    Nothing is rounded: a region from x1 to x2 is spatial_scale · (x2 − x1) elements of the map wide, but at least 1.
    Bottoms: x (N, C, H, W); regions (R, 5): image, x1, y1, x2, y2. Top: (R, C, pooled_h, pooled_w).
    """

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, rois = bottoms
        pictures, corners = self.regions(rois)
        x1, y1, x2, y2 = corners * self.scale
        rows = sample_weights(self._places(y1, y2, self.bins[0]), x.shape[2])
        columns = sample_weights(self._places(x1, x2, self.bins[1]), x.shape[3])
        return [weighted_bins(x[:, :, None, None], pictures, rows, columns)]

    @staticmethod
    def _places(start: Array, end: Array, bins: int) -> Array:
        """(R, bins, SAMPLES): the positions of the sampling points along one axis."""
        length = jnp.maximum(end - start, 1)[:, None, None] / bins
        steps = jnp.arange(bins)[:, None] + (jnp.arange(SAMPLES) + 0.5) / SAMPLES
        return start[:, None, None] + steps * length


@layer("ROIAlign", beside=regions.MSCNN)
class MSCNNROIAlign(_Grid):
    """The map, bilinearly interpolated at the corners of pooled_h × pooled_w bins per region (MS-CNN, Cascade R-CNN).

    The centres of elements have half-integer coordinates. Points more than half an element outside the map are 0, as
    are all points of a region with reversed corners.
    Bottoms: x (N, C, H, W); regions (R, 5): image, x1, y1, x2, y2. Top: (R, C, pooled_h + 1, pooled_w + 1).
    """

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        x, rois = bottoms
        pictures, corners = self.regions(rois)
        x1, y1, x2, y2 = corners * self.scale - 0.5
        valid = ((x2 > x1) & (y2 > y1))[:, None, None]
        rows = sample_weights(self._places(y1, y2, self.bins[0]), x.shape[2], beyond=0.5)
        columns = sample_weights(self._places(x1, x2, self.bins[1]), x.shape[3], beyond=0.5)
        return [weighted_bins(x[:, :, None, None], pictures, jnp.where(valid, rows, 0), columns)]

    @staticmethod
    def _places(start: Array, end: Array, bins: int) -> Array:
        """(R, bins + 1, 1): the positions of the bin corners along one axis."""
        return (start[:, None] + jnp.arange(bins + 1) * bin_lengths(end - start, bins))[..., None]
