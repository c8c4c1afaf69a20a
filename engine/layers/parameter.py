"""Parameter: a learned blob as a top."""

from engine.layers.base import Layer, Shape
from engine.layers.registry import layer
from engine.proto import caffe_pb2 as pb


@layer("Parameter")
class Parameter(Layer):
    """Top: the layer's one parameter, of `parameter_param.shape`; zeros at first."""

    bottoms = (0, 0)

    def setup(self) -> list[Shape]:
        shape = tuple(self.config.parameter_param.shape.dim)
        if min(shape, default=0) < 0:
            raise self.error(f"a dim of the shape {list(shape)} is negative.")
        self.value = self.param("value", shape, pb.FillerParameter())
        return [shape]

    def forward(self, params, bottoms, ctx):
        return [params[self.value]]
