"""`caffe.Detector`: classifies windows of pictures, as R-CNN does (Girshick et al. 2014, arXiv:1311.2524)."""

import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from engine.errors import DataError, NetError

from . import io
from .classifier import PictureNet
from .files import File

Window = Sequence[int] | np.ndarray
"""ymin, xmin, ymax, xmax, in pixels."""

PROPOSALS = "selective_search_ijcv_with_python"
"""The module that proposes windows, with MATLAB. https://github.com/sergeyk/selective_search_ijcv_with_python"""


class Detection(TypedDict):
    """The net's prediction for one window."""

    window: Window
    prediction: np.ndarray
    filename: Any


class Detector(PictureNet):
    """A net that classifies windows of pictures, each warped to the net's input.

    context_pad: the number of pixels on each side of the net's input that show the surroundings of the window; outside
    the picture they show the mean. mean, input_scale, raw_scale, channel_swap: see `caffe.io.Transformer`.
    """

    def __init__(
        self,
        model_file: File,
        pretrained_file: File,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        """Raises what Net raises; NetError if the first input takes no pictures or the context leaves no room."""
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets how much context windows get from now on. Raises NetError."""
        in_ = self.inputs[0]
        channels, height, width = self.blobs[in_].shape[1:]
        if context_pad and (height != width or not 0 < 2 * context_pad < width):
            raise NetError(
                f"context_pad {context_pad}: the net's input has {height} × {width} pixels; it must be square and "
                "larger than twice the pad."
            )
        self.crop_dims = np.array((height, width, channels))
        self.context_pad = context_pad
        # The mean in the channel order and scale of the pictures, so that the Transformer turns it into zeros.
        _, swap, raw_scale, mean, _ = self.transformer.steps(in_)
        mean = np.broadcast_to(mean, (channels, height, width))
        if swap is not None:
            mean = mean[np.argsort(swap)]
        self.crop_mean = mean.transpose(1, 2, 0) / raw_scale

    def detect_windows(self, images_windows: Iterable[tuple[Any, Iterable[Window]]]) -> list[Detection]:
        """The net's first output for each window. images_windows: pairs of a picture's file name and its windows.

        Raises DataError for a picture that cannot be read and for a window outside its picture.
        """
        windows: list[tuple[Any, Window]] = []
        crops: list[np.ndarray] = []
        for name, image_windows in images_windows:
            image = io.load_image(name)
            for window in image_windows:
                try:
                    crops.append(self.crop(image, window))
                except DataError as e:
                    raise DataError(f"{name}: {e}") from e
                windows.append((name, window))
        predictions = self.scores(crops) if crops else np.empty(0)
        return [
            Detection(window=window, prediction=prediction, filename=name)
            for (name, window), prediction in zip(windows, predictions, strict=True)
        ]

    def detect_selective_search(self, image_fnames: Iterable[str | Path]) -> list[Detection]:
        """`detect_windows` on the windows that selective search proposes. Raises NetError if it is not installed."""
        try:
            proposals = importlib.import_module(PROPOSALS)
        except ModuleNotFoundError as e:
            raise NetError(
                f"selective search needs MATLAB and the Python module {PROPOSALS} "
                f"(https://github.com/sergeyk/{PROPOSALS}) on PYTHONPATH; {e.name} was not found. For windows of your "
                "own use detect_windows, or detect.py with --crop_mode list and a .csv."
            ) from e
        names = [str(Path(name).absolute()) for name in image_fnames]  # MATLAB has its own working directory
        return self.detect_windows(zip(names, proposals.get_windows(names, cmd="selective_search_rcnn"), strict=True))

    def crop(self, im: np.ndarray, window: Window) -> np.ndarray:
        """The window of a picture (height, width, channels), with context around it if `context_pad` is set.

        Raises DataError for a window that contains no pixel of the picture; without context, also for one that begins
        outside it; with context, for a picture whose channels differ from the net's input.
        """
        try:
            y, x, bottom, right = box = np.array(window).astype(int)
        except (TypeError, ValueError):
            raise DataError(f"window {window}: it must be ymin, xmin, ymax, xmax.") from None
        inside = min(bottom, right) > 0 if self.context_pad else min(y, x) >= 0
        if not (inside and y < min(bottom, im.shape[0]) and x < min(right, im.shape[1])):
            raise DataError(
                f"window {[int(b) for b in box]} (ymin, xmin, ymax, xmax): it is empty or outside the picture of "
                f"{im.shape[0]} × {im.shape[1]} pixels."
            )
        if self.context_pad and im.shape[2] != self.crop_dims[2]:  # the context's mean has the net's channels
            raise DataError(f"the picture has {im.shape[2]} channels, but the net's input has {self.crop_dims[2]}.")
        return self._with_context(im, box) if self.context_pad else im[y:bottom, x:right]

    def _with_context(self, im: np.ndarray, box: np.ndarray) -> np.ndarray:
        """R-CNN's crop: the box is scaled about its centre so that the window fills the input except for the pad."""
        assert self.context_pad
        size = int(self.crop_dims[0])
        half = (box[2:] - box[:2] + 1) / 2
        reach = half * size / (size - 2 * self.context_pad)
        box = np.round([*(box[:2] + half - reach), *(box[:2] + half + reach)])
        scale = size / (box[2:] - box[:2] + 1)
        pad = np.round(np.maximum(0, -box[:2]) * scale).astype(int)  # the part outside, in pixels of the input
        inside = np.clip(box, 0, [*im.shape[:2], *im.shape[:2]]).astype(int)
        extent = np.clip(np.round((inside[2:] - inside[:2] + 1) * scale).astype(int), 1, size - pad)
        crop = np.array(self.crop_mean, np.float32)
        image = io.resize_image(im[inside[0] : inside[2], inside[1] : inside[3]], extent.tolist())
        crop[pad[0] : pad[0] + extent[0], pad[1] : pad[1] + extent[1]] = image
        return crop
