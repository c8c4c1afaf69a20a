"""How large the pictures of an ImageGtData (MS-CNN) are, and the maps of what places are to learn: by its settings."""

from engine.data.rounding import rounded
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

Size = tuple[int, int]


def stretched(p: pb.ImageGtDataParameter) -> Size | None:
    """The height and width that all pictures get; None where they keep their own."""
    return (p.resize_height, p.resize_width) if p.HasField("resize_width") and p.HasField("resize_height") else None


def picture(p: pb.ImageGtDataParameter, listed: Size) -> Size:
    """Height and width of a top's pictures; `listed`: those of the last picture of the list, which count where nothing
    is stretched. Raises DataError for a crop that is larger than what is cropped.
    """
    height, width = stretched(p) or listed
    cropped = p.HasField("crop_width") and p.HasField("crop_height")
    size = (p.crop_height or height, p.crop_width or width) if cropped else (height, width)
    if size[0] > height or size[1] > width or min(size) < 1:
        raise DataError(
            f"pictures of {height}×{width} (height × width) have no part of {size[0]}×{size[1]}: give smaller "
            "crop_height and crop_width, or larger resize_height and resize_width."
        )
    return size


def told(p: pb.ImageGtDataParameter) -> Size | None:
    """`picture` without the list; None where only that tells."""
    crop = (p.crop_height, p.crop_width) if p.crop_height and p.crop_width else None
    whole = stretched(p) or crop
    return picture(p, whole) if whole else None


def maps(p: pb.ImageGtDataParameter, size: Size) -> list[Size]:
    """Height and width of each map beside pictures of that size. Raises DataError where its settings do not fit."""
    number = len(p.downsample_rate)
    if not number or len(p.field_h) != number or len(p.field_w) != number or p.coord_num != 4:
        raise DataError(
            f"it has {number} downsample_rate, {len(p.field_h)} field_h and {len(p.field_w)} field_w, coord_num "
            f"{p.coord_num}: one each a map, and 4, are needed."
        )
    if min(*p.downsample_rate, *p.field_h, *p.field_w) < 1:
        raise DataError("each downsample_rate, field_h and field_w must be 1 or more.")
    height, width = size
    made = [(height // stride, width // stride) for stride in p.downsample_rate]
    for each, stride in zip(made, p.downsample_rate, strict=True):
        if each != (rounded(height / stride), rounded(width / stride)) or 0 in each:
            raise DataError(
                f"pictures of {height}×{width} make no map of whole places {stride} pixels apart: give multiples of "
                f"downsample_rate {stride}."
            )
    return made
