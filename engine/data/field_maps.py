"""The sizes of the pictures and label maps of an ImageGtData layer (MS-CNN), derived from its settings."""

from engine.data.rounding import round_half_away
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

Size = tuple[int, int]


def stretched(p: pb.ImageGtDataParameter) -> Size | None:
    """The height and width that all pictures are resized to; None if they keep their own."""
    return (p.resize_height, p.resize_width) if p.HasField("resize_width") and p.HasField("resize_height") else None


def picture(p: pb.ImageGtDataParameter, listed: Size) -> Size:
    """The height and width of the pictures in the top. `listed`: those of the last picture of the list, used if
    pictures are not resized. Raises DataError for a crop larger than the picture.
    """
    height, width = stretched(p) or listed
    cropped = p.HasField("crop_width") and p.HasField("crop_height")
    size = (p.crop_height or height, p.crop_width or width) if cropped else (height, width)
    if size[0] > height or size[1] > width or min(size) < 1:
        raise DataError(
            f"pictures of {height}×{width} (height × width) cannot be cropped to {size[0]}×{size[1]}: give smaller "
            "crop_height and crop_width, or larger resize_height and resize_width."
        )
    return size


def size_from_settings(p: pb.ImageGtDataParameter) -> Size | None:
    """The same as `picture`, but without the list; None if the size depends on that."""
    crop = (p.crop_height, p.crop_width) if p.crop_height and p.crop_width else None
    size = stretched(p) or crop
    return picture(p, size) if size else None


def maps(p: pb.ImageGtDataParameter, size: Size) -> list[Size]:
    """The height and width of each map for pictures of that size. Raises DataError if the settings do not fit."""
    number = len(p.downsample_rate)
    if not number or len(p.field_h) != number or len(p.field_w) != number or p.coord_num != 4:
        raise DataError(
            f"it has {number} downsample_rate, {len(p.field_h)} field_h and {len(p.field_w)} field_w, coord_num "
            f"{p.coord_num}: one of each per map, and coord_num 4, are needed."
        )
    if min(*p.downsample_rate, *p.field_h, *p.field_w) < 1:
        raise DataError("each downsample_rate, field_h and field_w must be 1 or more.")
    height, width = size
    sizes = [(height // stride, width // stride) for stride in p.downsample_rate]
    for each, stride in zip(sizes, p.downsample_rate, strict=True):
        if each != (round_half_away(height / stride), round_half_away(width / stride)) or 0 in each:
            raise DataError(
                f"pictures of {height}×{width} do not divide into a map with downsample_rate {stride}: make height and "
                f"width multiples of {stride}."
            )
    return sizes
