"""What a list of pictures comes to in its layer: labels beyond the classes, files that are no pictures, sizes that
do not fit. The engine would find it too, once the job has waited for its turn."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from engine.data.label_bounds import LabelBounds
from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError
from hpcbrew.plan import picture_header
from hpcbrew.plan.picture_header import Header, NoPicture

MOST = 2000
"""Pictures whose files are looked at, evenly spread over a list."""

JUDGES = {
    "SoftmaxWithLoss": "loss_param",
    "MultinomialLogisticLoss": "",
    "InfogainLoss": "loss_param",
    "HingeLoss": "",
    "Accuracy": "accuracy_param",
}
"""The layers whose second bottom is a class, each with the block in which it takes an ignore_label."""

KEEPING = frozenset({"ReLU", "PReLU", "ELU", "Dropout", "BatchNorm", "Scale", "Bias", "Softmax", "Pooling", "Power"})
"""The layers that leave the number of channels as it is."""


def check_labels(layers: Sequence[pb.LayerParameter], label: str, lines: Mapping[int, int], listing: Path) -> None:
    """`layers` are those of one phase, `label` the blob of the labels, `lines` the labels and where they stand.

    Raises ManifestError, naming the line, for a label that a layer cannot take.
    """
    for place, layer in enumerate(layers):
        if layer.type not in JUDGES or len(layer.bottom) < 2 or layer.bottom[1] != label:
            continue
        classes = _channels(layers[:place], layer.bottom[0])
        if not classes:
            continue
        block = JUDGES[layer.type]
        param = getattr(layer, block) if block else None
        ignore = param.ignore_label if param is not None and param.HasField("ignore_label") else None
        bounds = LabelBounds(classes, ignore, f'layer "{layer.name}" ({layer.type})', block)
        wrong = next((value for value in lines if not 0 <= value < classes and value != ignore), None)
        if wrong is not None:
            raise ManifestError(f"{listing}:{lines[wrong]}: {bounds.complaint(wrong, label)}")


def _channels(layers: Sequence[pb.LayerParameter], blob: str) -> int:
    """How many channels a blob has, by the layer that makes it; 0 where that does not say."""
    for layer in reversed(layers):
        if blob not in layer.top:
            continue
        if layer.type == "InnerProduct" and layer.inner_product_param.axis == 1:
            return layer.inner_product_param.num_output
        if layer.type == "Convolution" and layer.convolution_param.axis == 1:
            return layer.convolution_param.num_output
        if layer.type not in KEEPING or not layer.bottom:
            return 0
        blob = layer.bottom[0]
    return 0


def check_files(root: Path, members: Sequence[PurePosixPath], layer: pb.LayerParameter, asked: str) -> None:
    """Looks at the files of a list, of a long one at some. Raises ManifestError for one that is not there, that is no
    picture, or whose size does not fit the layer or the pictures before it."""
    step = max(1, -(-len(members) // MOST))
    chosen = dict.fromkeys([*members[::step], members[-1]])
    fits = _Fit(layer, asked)
    for path, header in headers(root / member for member in chosen):
        if isinstance(header, NoPicture):
            raise ManifestError(f"{asked}: {path} {header}")
        fits.check(path, header)


def headers(paths: Iterable[Path]) -> Iterable[tuple[Path, Header | NoPicture]]:
    """What each file's first bytes say."""
    for path in paths:
        try:
            yield path, picture_header.read(path)
        except NoPicture as error:
            yield path, error


class _Fit:
    """Whether pictures can be read by a layer: all of one size, and none smaller than its crop."""

    def __init__(self, layer: pb.LayerParameter, asked: str) -> None:
        param, transform = layer.image_data_param, layer.transform_param
        self.asked, self.crop = asked, transform.crop_size
        self.stretched = bool(param.new_height and param.new_width)
        self.given = (param.new_height, param.new_width)
        # A batch of one may have another size each time; an augmentation may bring pictures to one.
        self.free = (
            layer.type != "ImageData" or param.batch_size == 1 or transform.HasField("augmentation") or bool(self.crop)
        )
        self.cropped = bool(self.crop) and layer.type == "ImageData" and not transform.HasField("augmentation")
        self.first: tuple[Path, tuple[int, int]] | None = None

    def check(self, path: Path, header: Header) -> None:
        if header.height is None or header.width is None:
            return
        height, width = self.given if self.stretched else (header.height, header.width)
        if self.cropped and min(height, width) < self.crop:
            stretched = " (new_height, new_width)" if self.stretched else ""
            raise ManifestError(
                f"{self.asked}: {path} is {height}×{width}{stretched}, smaller than crop_size {self.crop}. Give the "
                "layer a new_height and new_width that are large enough, or a smaller crop_size"
            )
        if self.stretched or self.free:
            return
        if self.first is None:
            self.first = path, (height, width)
        elif self.first[1] != (height, width):
            other, size = self.first
            raise ManifestError(
                f"{self.asked}: {path} is {height}×{width} and {other} {size[0]}×{size[1]}: the pictures of a batch "
                "are of one size. Give image_data_param a new_height and new_width, or transform_param a crop_size"
            )
