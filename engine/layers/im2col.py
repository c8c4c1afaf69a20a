"""Im2col: what a convolution multiplies its weights with."""

from engine.layers.base import Shape, count
from engine.layers.registry import layer
from engine.layers.windowed import Windowed
from engine.ops.convolution import columns


@layer("Im2col")
class Im2col(Windowed):
    """y = the elements under the kernel at every position, laid along the channels: channel by channel, in scan order.

    Bottom: x (d0, …, C, *in). Top: y (d0, …, C · count(kernel), *out), with `out` as a Convolution's.
    """

    def setup(self, x: Shape) -> list[Shape]:
        self.read_window(x)
        if not self.spatial:
            raise self.error(f"{self.bottom(0)} of shape {list(x)} has no axis behind axis {self.axis}, the channels'.")
        return [(*self.lead, self.channels * count(self.window.kernel), *self.fitting_outputs())]

    def forward(self, params, bottoms, ctx):
        (x,) = bottoms
        return [self.unbatched(columns(self.batched(x), self.window))]
