"""Layers that only connect a net and compute nothing: Input, Parameter, Split, Gather, Silence."""

from engine.graph import same_shape, source_shapes
from engine.layers.base import Array, Arrays, Context, Layer, Shape, SourceLayer
from engine.layers.registry import layer


@layer("Input")
class Input(SourceLayer):
    """Tops that the caller fills, with the shapes in `input_param` (one for all, or one per top)."""

    reads_data = False

    def setup(self) -> list[Shape]:
        return source_shapes.of_input(self.node)


@layer("Parameter")
class Parameter(Layer):
    """Top: the layer's only parameter, of `parameter_param.shape`; zeros at first, or by blob_filler (NormFace)."""

    def setup(self) -> list[Shape]:
        shape = source_shapes.not_negative(self.node, tuple(self.config.parameter_param.shape.dim))
        self.value = self.param("value", shape, self.config.parameter_param.blob_filler)
        return [shape]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [params[self.value]]


@layer("Split")
class Split(Layer):
    """Passes the same blob to several readers; its gradient is the sum of theirs."""

    copies = True
    precision = "given"

    def setup(self, x: Shape) -> list[Shape]:
        same_shape.check(self.node, x)
        return [x] * len(self.config.top)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return [bottoms[0]] * len(self.top_shapes)


@layer("Gather")
class Gather(Layer):
    """Each top is the bottom of the same index: in data-parallel training, each device continues with its own shard.

    In the Caffe of temporal segment networks, every process computes the following layers for the shards of all
    processes, which gives the same gradients. Bottoms and tops: any number, equally many of both.
    """

    bottoms = (1, None)
    tops = (1, None)
    precision = "given"

    def setup(self, *bottoms: Shape) -> list[Shape]:
        if len(self.config.top) != len(bottoms):
            raise self.error(f"it has {len(self.config.top)} tops for its {len(bottoms)} bottoms; give one each.")
        return list(bottoms)

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return list(bottoms)


@layer("Silence")
class Silence(Layer):
    """Reads blobs so that they are not printed as outputs."""

    def setup(self, *bottoms: Shape) -> list[Shape]:
        return []

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return []
