"""`caffe.Classifier`: a deployed net on pictures, over ten crops or the centre."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.errors import NetError
from engine.proto.caffe_pb2 import TEST

from . import io
from .errors import ArrayError
from .files import File
from .net import Net


class PictureNet(Net):
    """A net whose first input is pictures, with the Transformer for them. Raises as Net, and NetError."""

    def __init__(
        self,
        model_file: File,
        pretrained_file: File,
        mean: np.ndarray | None,
        input_scale: float | None,
        raw_scale: float | None,
        channel_swap: Sequence[int] | None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        file = os.fsdecode(model_file)
        if not self.inputs:
            raise NetError(f"{file}: has no input for pictures; is it the deploy.prototxt?")
        in_ = self.inputs[0]
        if len(self.blobs[in_].shape) != 4:
            raise NetError(
                f'{file}: input "{in_}" has shape {list(self.blobs[in_].shape)}; pictures need (batch, channels, '
                "height, width)."
            )
        self.transformer = io.Transformer({in_: self.blobs[in_].shape})
        self.transformer.set_transpose(in_, (2, 0, 1))
        setters: tuple[tuple[Any, Callable[[str, Any], None]], ...] = (
            (mean, self.transformer.set_mean),
            (input_scale, self.transformer.set_input_scale),
            (raw_scale, self.transformer.set_raw_scale),
            (channel_swap, self.transformer.set_channel_swap),
        )
        for given, take in setters:
            if given is not None:
                take(in_, given)

    def scores(self, pictures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """The net's first output for each picture (height, width, channels), resized to the input where it differs.

        Raises NetError where the channels are not the input's.
        """
        in_ = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(in_, picture) for picture in pictures])
        if batch.shape[1] == 1:  # a grey picture in each channel, as in Caffe
            batch = np.repeat(batch, self.blobs[in_].shape[1], axis=1)
        if batch.shape[1:] != self.blobs[in_].shape[1:]:
            raise NetError(
                f'pictures of {batch.shape[1]} channels for input "{in_}" of {self.blobs[in_].shape[1]}: load_image '
                "gives 3, with color=False 1."
            )
        return self.forward_all(**{in_: batch})[self.outputs[0]]


class Classifier(PictureNet):
    """A net that tells classes of pictures.

    image_dims: the (height, width) that pictures are brought to before they are cropped to the net's input; None: the
    input's own. mean, input_scale, raw_scale, channel_swap: see `caffe.io.Transformer`.
    """

    def __init__(
        self,
        model_file: File,
        pretrained_file: File,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        """Raises as Net, and NetError for a net without pictures as its first input."""
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        # Not looked at before predict, as in Caffe: programs write Classifier(FILE, WEIGHTS, caffe.TEST) for a Net.
        self.image_dims = image_dims if np.any(image_dims) else self.crop_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """The net's first output (pictures, classes) for pictures (height, width, channels).

        oversample: the mean over corners, centre and their mirror images; else what the centre gives. Raises NetError,
        and ArrayError for image_dims that are less than the net's input.
        """
        dims, crop_dims = np.array(self.image_dims).tolist(), self.crop_dims.tolist()
        if np.shape(dims) != (2,) or (dims < self.crop_dims).any():
            raise ArrayError(
                f"image_dims {dims}: (height, width) of at least the net's input, {crop_dims}, are needed."
            )
        pictures = [io.resize_image(picture, dims) for picture in inputs]
        if not pictures:
            raise NetError("predict: there are no pictures.")
        if oversample:
            crops = self.scores(io.oversample(pictures, crop_dims))
            return crops.reshape(len(pictures), 10, -1).mean(1)
        (top, left), (height, width) = (np.array(self.image_dims) - self.crop_dims) // 2, crop_dims
        return self.scores([picture[top : top + height, left : left + width] for picture in pictures])
