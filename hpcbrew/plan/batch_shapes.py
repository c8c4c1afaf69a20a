"""The shapes of a batch, from what its layer says and from its first record or picture."""

import io
from pathlib import Path

from google.protobuf.message import DecodeError

from engine.data import field_maps
from engine.data.lmdb_reader import LMDB
from engine.data.padded_rows import FEWEST
from engine.errors import DataError
from engine.graph import fits, source_shapes
from engine.graph.blob_shapes import Shape
from engine.graph.graph import Node
from engine.proto import caffe_pb2 as pb
from engine.proto import paths
from hpcbrew.plan import file_lists, picture_header
from hpcbrew.plan.picture_header import NoPicture


def tops(node: Node, named_in: Path) -> list[Shape] | None:
    """Returns the shapes of a data layer's tops: pictures (N, C, H, W) and labels (N,), or as many of them as can be
    known. None if only the layer itself can know.

    Raises LayerError for a batch of zero records, and for what `source_shapes` and `field_maps` refuse.
    """
    config = node.config
    shapes = source_shapes.given(node)
    if shapes is not None:
        return shapes
    if config.type == "ImageGtData":
        return _with_maps(node)
    if config.type == "Data":
        batch_size = config.data_param.batch_size
        picture = _record(config, named_in) or _transformed(config.transform_param)
    elif config.type == "ImageData":
        batch_size, picture = config.image_data_param.batch_size, _listed(config, named_in)
    elif config.type == "AnnotatedData":  # the size of its labels depends on the boxes of each batch
        batch_size, picture = config.data_param.batch_size, _annotated(config.transform_param)
    else:
        return None
    fits.batch_size(node, batch_size)
    if picture is None:
        return None
    channels, *size = picture
    crop = config.transform_param.crop_size
    picture = batch_size, channels, *([crop, crop] if crop else size)
    if config.type == "AnnotatedData":
        return [picture, *_boxes(config.annotated_data_param)][: len(config.top)]
    return [picture, (batch_size,)][: len(config.top)]


def _record(config: pb.LayerParameter, named_in: Path) -> Shape | None:
    if config.data_param.backend != pb.DataParameter.LMDB:
        return None
    try:
        database = LMDB(paths.resolve(config.data_param.source, named_in))
        _, value = next(iter(database.spread(2)), (b"", b""))
        database.close()
        record = pb.Datum.FromString(value)
        if not record.encoded:
            shape = record.channels, record.height, record.width
            return shape if min(shape) > 0 else None
        header = picture_header.of(io.BytesIO(record.data))
    except (DataError, DecodeError, NoPicture):
        return None
    transform = config.transform_param
    grey = transform.force_gray or (header.grey and not transform.force_color)
    return _shape(grey, header.height, header.width)


def _transformed(p: pb.TransformationParameter) -> Shape | None:
    """Returns the shape of records that are not here, if they are cropped to a known size."""
    return _of_size(p, p.crop_size, p.crop_size)


def _annotated(p: pb.TransformationParameter) -> Shape | None:
    """Returns the shape of pictures with boxes, if all are cropped or resized to one size."""
    if p.crop_h or p.crop_w:
        return None
    if len(p.resize_param) != 1 or p.resize_param[0].resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE:
        return _transformed(p)
    return _of_size(p, p.resize_param[0].height, p.resize_param[0].width)


def _boxes(p: pb.AnnotatedDataParameter) -> list[Shape]:
    """Returns the shape of SSD's labels for a batch with few boxes, if the layer says that there are boxes."""
    return [(1, 1, FEWEST, 8)] if p.HasField("anno_type") and not p.yolo_data_type else []


def _with_maps(node: Node) -> list[Shape] | None:
    """Returns the shapes of pictures cropped or stretched to one size, and of the targets for each place of several
    maps."""
    p = node.config.image_gt_data_param
    n = fits.batch_size(node, p.batch_size)
    try:
        size = field_maps.size_from_settings(p)
        maps: list[Shape] = [(n, 6, *each) for each in field_maps.maps(p, size)] if size else []
    except DataError as error:
        raise node.error(str(error)) from None
    return [(n, 3, *size), *maps, *([(FEWEST, 7, 1, 1)] if p.output_gt_boxes else [])] if size else None


def _of_size(p: pb.TransformationParameter, height: int, width: int) -> Shape | None:
    """Returns the shape for a size. The number of channels follows from the means: there is one per channel."""
    channels = 3 if p.force_color else 1 if p.force_gray else len(p.mean_value)
    return (channels, height, width) if height and width and (channels > 1 or p.force_gray) else None


def _listed(config: pb.LayerParameter, named_in: Path) -> Shape | None:
    p = config.image_data_param
    if p.new_height and p.new_width:
        return _shape(not p.is_color, p.new_height, p.new_width)
    listing = paths.resolve(p.source, named_in)
    try:
        name = file_lists.first_image(listing, p.num_labels)
        header = picture_header.read(paths.below(p.root_folder, name, listing, named_in))
    except (OSError, UnicodeDecodeError, NoPicture):
        return None
    return _shape(not p.is_color, header.height, header.width)


def _shape(grey: bool, height: int | None, width: int | None) -> Shape | None:
    return None if height is None or width is None else (1 if grey else 3, height, width)
