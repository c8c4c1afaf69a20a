"""The layers that read batches from files. The reading itself is in `engine.data`."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.data import bad_records, local_copy
from engine.data.annotated_source import AnnotatedSource
from engine.data.backends import READERS
from engine.data.databases import Database
from engine.data.datum import Colour
from engine.data.datum_source import DatumSource
from engine.data.hdf5_source import HDF5Source
from engine.data.image_source import ImageSource
from engine.data.memory_source import MemorySource
from engine.data.object_source import ObjectSource
from engine.data.source import Source
from engine.data.transform import Misfit, Transform
from engine.data.window_source import WindowSource
from engine.errors import DataError, PrototxtError
from engine.graph import fits
from engine.host import memory
from engine.layers import data_lines
from engine.layers.base import LogLine, Shape, SourceLayer
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb
from engine.proto import paths

log = logging.getLogger(__name__)

_RECORD = 512
"""Bytes that a record of a batch takes besides its values: its name, its label, its reader."""


Listing = pb.ImageDataParameter | pb.DenseImageDataParameter
"""The configuration blocks of layers that read images from a list."""


class DataLayer(SourceLayer):
    """A source layer whose first batch determines the shapes of its tops."""

    def setup(self) -> list[Shape]:
        batches = self.open(seed=0)
        try:
            shapes = batches.shapes()
            self.setup_log = list(self.lines(batches, shapes[0]))
            return shapes
        except DataError as e:
            # A configuration that does not fit the first image most likely fits none, so skipping it is no remedy.
            message = str(e) if isinstance(e.__cause__, Misfit) else bad_records.told(e, batches)
            raise self.error(message) from e
        finally:
            batches.close()

    def open(self, seed: int) -> Source:
        try:
            own = self.config.transform_param.random_seed
            source = self.batches(seed if own < 0 else own)
            bad_records.allow(source, self.name)
            return source
        except (DataError, PrototxtError) as e:
            raise self.error(str(e)) from e

    def batches(self, seed: int) -> Source:
        """Opens the layer's source of batches; implemented by each data layer. Raises DataError."""
        raise TypeError(f"{type(self).__name__} has no batches")

    def lines(self, batches: Any, shape: Shape) -> Iterable[LogLine]:
        """The log lines about the source `batches`, whose first top has the shape `shape`."""
        return ()

    def path(self, field: str, name: str) -> Path:
        """The file or folder `name`, which the field `field` gives. Raises LayerError if it is empty."""
        if not name:
            raise self.error(f"{field} is empty.")
        return paths.resolve(name, self.node.origin.path)

    def batch_size(self, size: int) -> int:
        fits.batch_size(self.node, size)
        if lacking := memory.lacking(_RECORD * size):
            raise self.error(f"a batch of batch_size: {size} records {lacking}, besides their values.")
        return size

    def check_stretched(self, p: Listing | pb.VideoDataParameter) -> None:
        """Raises LayerError if only one of new_height and new_width is set."""
        if bool(p.new_height) != bool(p.new_width):
            raise self.error(f"new_height {p.new_height} and new_width {p.new_width}; set both or none.")

    def of_list(self, p: Listing) -> dict[str, Any]:
        """The keyword arguments that the sources of all layers with a list of images share."""
        self.check_stretched(p)
        return {
            "colour": Colour.COLOUR if p.is_color else Colour.GREY,
            "size": (p.new_height, p.new_width) if p.new_height else None,
            "shuffle": p.shuffle,
            "rand_skip": p.rand_skip,
        }

    def database(self, p: pb.DataParameter) -> Database:
        """Opens the database that data_param names, or its copy on the node's own disk if one was asked for."""
        return READERS[p.DB.Name(p.backend).lower()](local_copy.of(self.path("source", p.source)))

    def transform(self) -> Transform:
        param = self.config.transform_param
        mean_file = self.path("mean_file", param.mean_file) if param.HasField("mean_file") else None
        return Transform(param, self.phase, mean_file)


@layer("Data")
class Data(DataLayer):
    """Images, and their labels if there is a second top, from a database of Datum records.

    Tops: images (batch_size, channels, height, width), cropped to `crop_size` if it is set; labels (batch_size,).
    """

    def setup(self) -> list[Shape]:
        if self.config.data_param.shuffle:
            log.warning("%s: data_param.shuffle has no effect: records are read in order.", self.node.shown)
        return super().setup()

    def batches(self, seed: int) -> Source:
        p = self.config.data_param
        return DatumSource(
            self.database(p),
            self.config.top,
            self.batch_size(p.batch_size),
            self.transform(),
            seed,
            rand_skip=p.rand_skip,
            prefetch=p.prefetch,
        )

    def lines(self, batches: Any, shape: Shape) -> Iterable[LogLine]:
        yield from data_lines.database(self.config.data_param)
        yield from data_lines.mean(self.config.transform_param)
        yield data_lines.output("data_layer.cpp:45", shape)


@layer("AnnotatedData")
class AnnotatedData(DataLayer):
    """Images, and their boxes if there is a second top, from a database of AnnotatedDatum records (SSD).

    Tops: images (batch_size, channels, height, width); boxes (1, 1, rows, 8) in the form that MultiBoxLoss takes, where
    a row with image −1 is padding, or with yolo_data_type 1 (batch_size, 1, 300, 5) in the form that Yolov3 takes. If
    the records have no boxes, the second top holds labels (batch_size, 1, 1, 1).
    """

    tops = (1, 2)
    single_device_reason = "makes one top of the boxes of all its pictures"

    def batches(self, seed: int) -> Source:
        p, own = self.config.data_param, self.config.annotated_data_param
        return AnnotatedSource(
            self.database(p),
            self.config.top,
            self.batch_size(p.batch_size),
            self.transform(),
            seed,
            param=self.config.transform_param,
            own=own,
            rand_skip=p.rand_skip,
            prefetch=p.prefetch,
        )


@layer("ImageData")
class ImageData(DataLayer):
    """Images and their labels from the files named in a list.

    Tops: images (batch_size, channels, height, width), resized to new_height × new_width and then cropped to
    `crop_size`, if set; labels (batch_size,), or (batch_size, num_labels).
    """

    def batches(self, seed: int) -> Source:
        p = self.config.image_data_param
        return ImageSource(
            self.path("source", p.source),
            self.config.top,
            self.batch_size(p.batch_size),
            self.transform(),
            seed,
            root_folder=p.root_folder,
            definition=self.node.origin.path,
            **self.of_list(p),
            num_labels=p.num_labels,
            prefetch=self.config.data_param.prefetch,
        )

    def lines(self, batches: Any, shape: Shape) -> Iterable[LogLine]:
        p = self.config.image_data_param
        yield from data_lines.mean(self.config.transform_param)
        yield from data_lines.images(p, len(batches.lines))
        yield from data_lines.skip(p.rand_skip, len(batches.lines))
        yield data_lines.output("image_data_layer.cpp:90", shape)


@layer("HDF5Data")
class HDF5Data(DataLayer):
    """The datasets named like the tops, from a list of HDF5 or MATLAB files.

    Tops: (batch_size, …), with any axes. Those named in hdf5_data_param's `transform` are images and are transformed.
    """

    def batches(self, seed: int) -> Source:
        p = self.config.hdf5_data_param
        return HDF5Source(
            self.path("source", p.source),
            self.config.top,
            self.batch_size(p.batch_size),
            seed,
            shuffle=p.shuffle,
            transforms=self.transforms(p.transform),
        )

    def lines(self, batches: Any, shape: Shape) -> Iterable[LogLine]:
        yield from data_lines.hdf5(self.config.hdf5_data_param, len(batches.files))
        yield from data_lines.mean(self.config.transform_param)

    def transforms(self, named: Sequence[str]) -> dict[str, Transform]:
        if unknown := [top for top in named if top not in self.config.top]:
            raise self.error(f'hdf5_data_param: transform "{unknown[0]}" is none of its tops.')
        if self.config.HasField("transform_param") != bool(named):
            raise self.error(
                "it transforms only the tops named in hdf5_data_param, a field that Caffe does not have: transform: "
                f'"{self.config.top[0]}". Give both this and transform_param, or neither.'
            )
        return dict.fromkeys(named, self.transform()) if named else {}


@layer("MemoryData")
class MemoryData(DataLayer):
    """Arrays that the calling program sets.

    Tops: images (batch_size, channels, height, width); labels (batch_size,), which become (batch_size, 1, 1, 1) with
    the first batch, as in Caffe.
    """

    def batches(self, seed: int) -> Source:
        p = self.config.memory_data_param
        shape = (p.batch_size, p.channels, p.height, p.width)
        if not all(shape):
            raise self.error(f"batch_size, channels, height and width are {shape}; each must be 1 or more.")
        return MemorySource(self.config.top, shape)


@layer("WindowData")
class WindowData(DataLayer):
    """Windows drawn at random with a fixed share of objects, cut from images and warped to `crop_size`.

    Tops: windows (batch_size, channels, crop_size, crop_size); classes (batch_size,), 0 for background.
    """

    def batches(self, seed: int) -> Source:
        p = self.config.window_data_param
        transform = self.transform()
        self.batch_size(p.batch_size)
        if not transform.crop:
            raise self.error("transform_param's crop_size is 0; set it to the size to which windows are warped.")
        if p.crop_mode not in ("warp", "square"):
            raise self.error(f'crop_mode is "{p.crop_mode}"; it must be warp or square.')
        if self.config.transform_param.HasField("augmentation"):
            raise self.error("augmentation works on whole pictures, not on windows; leave it out.")
        if 2 * p.context_pad >= transform.crop:
            raise self.error(f"context_pad {p.context_pad} leaves nothing of a crop of {transform.crop}.")
        return WindowSource(
            self.path("source", p.source),
            self.config.top,
            p,
            transform,
            seed,
            self.config.data_param.prefetch,
            definition=self.node.origin.path,
        )

    def lines(self, batches: Any, shape: Shape) -> Iterable[LogLine]:
        yield from data_lines.windows(self.config.window_data_param, batches)
        yield data_lines.output("window_data_layer.cpp:180", shape)
        yield from data_lines.mean(self.config.transform_param, "window_data_layer.cpp:196")


@layer("ImageGtData")
class ImageGtData(DataLayer):
    """Images, and training targets for each position of feature maps of several sizes, from a window file (MS-CNN).

    Tops: images (batch_size, 3, height, width); for each downsample_rate, labels (batch_size, 6, H, W) in the form that
    DetectionLoss takes; with output_gt_boxes, objects (rows, 7, 1, 1) in the form that ProposalTarget takes.
    """

    def batches(self, seed: int) -> Source:
        p, transform = self.config.image_gt_data_param, self.config.transform_param
        self.batch_size(p.batch_size)
        for block, wrong in ((transform, "mean_file crop_size augmentation"), (p, "mean_file mirror")):
            if fields := [name for name in wrong.split() if block.HasField(name)]:
                raise self.error(
                    f"{fields[0]} has no effect in this layer's fork; use mean_value and mirror in transform_param."
                )
        return ObjectSource(
            self.path("source", p.source),
            self.config.top,
            p,
            transform,
            seed,
            self.config.data_param.prefetch,
            definition=self.node.origin.path,
        )
