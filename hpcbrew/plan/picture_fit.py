"""Checks that a layer can use its pictures: those of a batch have one size, and none is smaller than the crop."""

from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError
from hpcbrew.plan.picture_header import Header

REMEDIES = {
    "ImageData": "Give image_data_param a new_height and new_width",
    "Data": "Make the database again, with convert_imageset's -resize_height and -resize_width",
}
"""How to bring a layer's pictures to one size, by layer type. Pictures of other layers are not checked for size."""

_RESIZING = ("augmentation", "random_resize_param", "random_aspect_ratio_param")
"""Fields that may bring pictures to one size, or enlarge them."""


class PictureFit:
    """Checks one picture after another. `location`: of the field that names them, with which messages begin."""

    def __init__(self, layer: pb.LayerParameter, location: str) -> None:
        param, transform = layer.image_data_param, layer.transform_param
        augmented = any(map(transform.HasField, _RESIZING)) or transform.allow_upscale
        batch_size = (param if layer.type == "ImageData" else layer.data_param).batch_size
        self.location, self.crop = location, transform.crop_size
        self.remedy = REMEDIES.get(layer.type, "")
        self.stretched = layer.type == "ImageData" and bool(param.new_height and param.new_width)
        self.fixed_size = (param.new_height, param.new_width)
        # A batch of one picture may have a different size each time.
        self.free = not self.remedy or batch_size == 1 or augmented or bool(self.crop)
        self.cropped = bool(self.crop and self.remedy) and not augmented
        self.first_picture: tuple[str, tuple[int, int]] | None = None

    def check(self, name: str, header: Header) -> None:
        """Raises ManifestError, with the name of the picture, if it does not fit."""
        if header.height is None or header.width is None:
            return
        height, width = self.fixed_size if self.stretched else (header.height, header.width)
        if self.cropped and min(height, width) < self.crop:
            note = " (new_height, new_width)" if self.stretched else ""
            raise ManifestError(
                f"{self.location}: {name} is {height}×{width}{note}, smaller than crop_size {self.crop}. "
                f"{self.remedy} that are large enough, or use a smaller crop_size"
            )
        if self.stretched or self.free:
            return
        if self.first_picture is None:
            self.first_picture = name, (height, width)
        elif self.first_picture[1] != (height, width):
            other, size = self.first_picture
            raise ManifestError(
                f"{self.location}: {name} is {height}×{width} and {other} is {size[0]}×{size[1]}, but the pictures of "
                f"a batch must have one size. {self.remedy}, or give transform_param a crop_size"
            )
