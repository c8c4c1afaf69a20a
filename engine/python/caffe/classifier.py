"""`caffe.Classifier`: classifies pictures with a deploy net, by ten crops or the centre crop."""

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
    """A net whose first input takes pictures, with a Transformer for them. Raises what Net raises, and NetError."""

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
            raise NetError(f"{file}: the net has no input for pictures; is it the deploy.prototxt?")
        in_ = self.inputs[0]
        if len(self.blobs[in_].shape) != 4:
            raise NetError(
                f'{file}: input "{in_}" has shape {list(self.blobs[in_].shape)}; for pictures it must be (batch, '
                "channels, height, width)."
            )
        self.transformer = io.Transformer({in_: self.blobs[in_].shape})
        self.transformer.set_transpose(in_, (2, 0, 1))
        setters: tuple[tuple[Any, Callable[[str, Any], None]], ...] = (
            (mean, self.transformer.set_mean),
            (input_scale, self.transformer.set_input_scale),
            (raw_scale, self.transformer.set_raw_scale),
            (channel_swap, self.transformer.set_channel_swap),
        )
        for value, take in setters:
            if value is not None:
                take(in_, value)

    def scores(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """The net's first output for each picture (height, width, channels), which is resized to the input if needed.

        Raises NetError if the number of channels differs from the input's.
        """
        in_ = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(in_, image) for image in images])
        if batch.shape[1] == 1:  # a grey picture is copied into each channel, as in Caffe
            batch = np.repeat(batch, self.blobs[in_].shape[1], axis=1)
        if batch.shape[1:] != self.blobs[in_].shape[1:]:
            raise NetError(
                f'the pictures have {batch.shape[1]} channels, but input "{in_}" has {self.blobs[in_].shape[1]}: '
                "load_image gives 3, with color=False 1."
            )
        return self.forward_all(**{in_: batch})[self.outputs[0]]


class Classifier(PictureNet):
    """A net that classifies pictures.

    image_dims: the (height, width) to which pictures are resized before they are cropped to the net's input; None: the
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
        """Raises what Net raises, and NetError if the net's first input does not take pictures."""
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        # Not checked before predict, as in Caffe: some programs use Classifier(FILE, WEIGHTS, caffe.TEST) like a Net.
        self.image_dims = image_dims if np.any(image_dims) else self.crop_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """The net's first output, (pictures, classes), for pictures of (height, width, channels).

        oversample: average over crops of the corners, the centre and their mirror images; otherwise only the centre
        crop is used. Raises NetError, and ArrayError if image_dims are smaller than the net's input.
        """
        dims, crop_dims = np.array(self.image_dims).tolist(), self.crop_dims.tolist()
        if np.shape(dims) != (2,) or (dims < self.crop_dims).any():
            raise ArrayError(
                f"image_dims {dims}: it must be (height, width), each at least the net's input, {crop_dims}."
            )
        images = [io.resize_image(image, dims) for image in inputs]
        if not images:
            raise NetError("predict: no pictures were given.")
        if oversample:
            crops = self.scores(io.oversample(images, crop_dims))
            return crops.reshape(len(images), 10, -1).mean(1)
        (top, left), (height, width) = (np.array(self.image_dims) - self.crop_dims) // 2, crop_dims
        return self.scores([image[top : top + height, left : left + width] for image in images])
