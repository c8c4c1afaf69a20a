"""DummyData: batches filled with a filler's numbers."""

from typing import Any

import numpy as np

from engine.data.source import position
from engine.graph import source_shapes
from engine.layers import fillers
from engine.layers.base import Shape, SourceLayer
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb

FIRST_STREAM = 2**32
"""The first random stream of the data; those below belong to parameters (`Net.init`)."""


@layer("DummyData")
class DummyData(SourceLayer):
    """Tops with the shapes in `shape`, filled by `data_filler`; without a filler, with 0.

    Both fields are given once for all tops, or once per top. The older num, channels, height and width replace `shape`.
    """

    def setup(self) -> list[Shape]:
        filled_by = self.config.dummy_data_param.data_filler or [pb.FillerParameter(value=0)]
        self.fillers = source_shapes.each_top(self.node, "data_filler", filled_by)
        self.shapes = source_shapes.of_dummy_data(self.node)
        for filler, shape in zip(self.fillers, self.shapes, strict=True):
            self.check_filler(filler, shape)
        return self.shapes

    @property
    def constants(self) -> dict[str, float]:
        """The tops with a constant filler, and the value of each."""
        filled = zip(self.config.top, self.fillers, strict=True)
        return {top: filler.value for top, filler in filled if filler.type == "constant"}

    def open(self, seed: int) -> "DummySource":
        return DummySource(list(self.config.top), self.fillers, self.shapes, seed)


class DummySource:
    """The source of batches, each a function of the seed and of its number. Constant tops are made once."""

    prefetch = 1

    def __init__(self, tops: list[str], made_by: list[pb.FillerParameter], shapes: list[Shape], seed: int) -> None:
        self._tops, self._fillers, self._shapes, self._seed = tops, made_by, shapes, seed
        self._batches = 0
        self._constant = {
            top: fillers.fill(filler, shape, fillers.generator(seed, 0))
            for top, filler, shape in zip(tops, made_by, shapes, strict=True)
            if filler.type == "constant"
        }
        for value in self._constant.values():
            value.flags.writeable = False

    def shapes(self) -> list[Shape]:
        return self._shapes

    def next(self) -> dict[str, np.ndarray]:
        batch = {}
        for i, top in enumerate(self._tops):
            rng = fillers.generator(self._seed, FIRST_STREAM + self._batches * len(self._tops) + i)
            batch[top] = (
                self._constant[top] if top in self._constant else fillers.fill(self._fillers[i], self._shapes[i], rng)
            )
        self._batches += 1
        return batch

    def skip(self, batches: int) -> None:
        self._batches += batches

    def record(self, index: int) -> str:
        return f"item {index} of batch {self._batches - 1}"

    def state(self) -> dict[str, Any]:
        return {"made": self._batches}

    def restore(self, state: dict[str, Any]) -> None:
        self._batches = position(state, "made")

    def close(self) -> None:
        """Holds nothing open."""
