"""The layers that read images with a label for each pixel: DenseImageData, ImageSegData, ImageLabelmapData."""

from collections.abc import Iterable

from engine.data.dense_source import DenseCut, DenseSource, PairList
from engine.data.source import Source
from engine.layers import data_lines
from engine.layers.base import LogLine, Shape
from engine.layers.registry import layer
from engine.layers.sources import DataLayer, Listing
from engine.proto import caffe_pb2 as pb


class _PairLayer(DataLayer):
    """A layer that reads pairs of images and label maps named in a list."""

    @property
    def fields(self) -> Listing:
        """The configuration block that names the list and says how to read it."""
        return self.config.image_data_param

    def source(self, pairs: PairList, cut: DenseCut, seed: int, divisor: int = 1) -> DenseSource:
        """Returns the source of the layer's batches; labels are divided by `divisor`. Raises LayerError."""
        p = self.fields
        size = self.batch_size(p.batch_size)
        return DenseSource(pairs, self.config.top, size, cut, seed, **self.of_list(p), divisor=divisor)

    def lines(self, batches: DenseSource, shape: Shape) -> Iterable[LogLine]:
        return data_lines.skip(self.fields.rand_skip, len(batches.pairs))


@layer("DenseImageData")
class DenseImageData(_PairLayer):
    """Images, and a label for each pixel, from pairs of files named in a list (SegNet, ENet).

    Tops: images (batch_size, channels, height, width), resized to new_height × new_width if these are set, then cropped
    at random to crop_height × crop_width, in both phases; labels (batch_size, 1, height, width), cropped and mirrored
    like the images but not otherwise transformed, and divided by label_divide_factor, rounding down (ENet).
    """

    tops = (2, 2)

    def batches(self, seed: int) -> Source:
        p = self.config.dense_image_data_param
        if bool(p.crop_height) != bool(p.crop_width):
            raise self.error(f"crop_height {p.crop_height} and crop_width {p.crop_width}; set both or none.")
        if self.config.transform_param.mirror or self.config.transform_param.crop_size or p.mean_file:
            raise self.error(
                "its pictures and labels are mirrored and cropped together: give mirror, crop_height and crop_width in "
                "dense_image_data_param, and mean_value in place of mean_file."
            )
        if not 1 <= p.label_divide_factor < 2**31:
            raise self.error(f"label_divide_factor is {p.label_divide_factor}; it must be 1 or more, and below 2^31.")
        cut = DenseCut(
            self.config.transform_param,
            crop=(p.crop_height, p.crop_width) if p.crop_height else None,
            anywhere=True,
            mirror=p.mirror,
        )
        pairs = PairList(self.path("source", p.source), p.root_folder, definition=self.node.origin.path)
        return self.source(pairs, cut, seed, p.label_divide_factor)

    @property
    def fields(self) -> Listing:
        return self.config.dense_image_data_param


@layer("ImageSegData")
class ImageSegData(_PairLayer):
    """Images, and a label for each pixel, from a list of files (DeepLab, PSPNet).

    The labels come from a second file (PIXEL), are one number after the image's name (IMAGE), or ignore_label (NONE).
    Images smaller than the crop are padded with the mean at the bottom and right, their labels with ignore_label. The
    crop is taken at random in TRAIN, from the centre in TEST. With scale_factors, each image is resized by one of them.
    Tops: images (batch_size, channels, height, width); labels (batch_size, 1, height, width); and the heights and
    widths of the images, at most those of the top (batch_size, 1, 1, 2).
    """

    tops = (2, 3)

    def batches(self, seed: int) -> Source:
        p, t = self.config.image_data_param, self.config.transform_param
        crop = (t.crop_h or t.crop_height or t.crop_size, t.crop_w or t.crop_width or t.crop_size)
        if bool(crop[0]) != bool(crop[1]):
            raise self.error(f"the crop is {crop[0]} high and {crop[1]} wide; set both sizes, or crop_size.")
        cut = DenseCut(
            t,
            crop=crop if crop[0] else None,
            anywhere=self.phase == pb.TRAIN,
            mirror=t.mirror,
            fill=p.ignore_label,
            factors=tuple(t.scale_factors),
        )
        kind = pb.ImageDataParameter.LabelType.Name(p.label_type)
        pairs = PairList(
            self.path("source", p.source), p.root_folder, kind, p.ignore_label, definition=self.node.origin.path
        )
        return self.source(pairs, cut, seed)


@layer("ImageLabelmapData")
class ImageLabelmapData(_PairLayer):
    """Images, and for each pixel whether it is an edge, from pairs of files named in a list (HED).

    Both are resized to new_height × new_width if these are set, then cropped to crop_size, at random in TRAIN and from
    the centre in TEST, and mirrored together; mean_value and scale apply to the images only.
    Tops: images (batch_size, channels, height, width); labels (batch_size, 1, height, width), 1 where the second file
    is nearer to white than to black, 0 elsewhere.
    """

    tops = (2, 2)

    def batches(self, seed: int) -> Source:
        p, t = self.config.image_data_param, self.config.transform_param
        crop = (t.crop_size, t.crop_size) if t.crop_size else None
        cut = DenseCut(t, crop=crop, anywhere=self.phase == pb.TRAIN, mirror=t.mirror)
        pairs = PairList(self.path("source", p.source), p.root_folder, definition=self.node.origin.path, edges=True)
        return self.source(pairs, cut, seed)
