"""Network in Network (Lin, Chen and Yan 2013): two 1×1 convolutions follow each other one, and averages are scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import caffe

from model_generators import cifar10
from model_generators.blocks import (
    BIAS,
    IMAGENET,
    PIXEL,
    WEIGHT,
    Top,
    average_pool,
    convolution,
    databases,
    dropout,
    gaussian,
    max_pool,
    relu,
)
from model_generators.model import Model, classify, classify_top5, probabilities


@dataclass(frozen=True)
class Convolution:
    """A convolution and its ReLU. `std`: the standard deviation of its initial weights. `relu`: the ReLU's name.

    `rate`: the learning rate multiplier of weights and biases, if it is not the usual one.
    """

    name: str
    channels: int
    kernel: int
    std: float
    relu: str
    stride: int = 1
    pad: int = 0
    rate: float | None = None

    def add(self, net: caffe.NetSpec, top: Top) -> Top:
        fields = ({"stride": self.stride} if self.stride > 1 else {}) | ({"pad": self.pad} if self.pad else {})
        net[self.name] = convolution(top, self.channels, self.kernel, gaussian(self.std), **fields)
        if self.rate is not None:
            net[self.name].fn.params["param"] = [{**each, "lr_mult": self.rate} for each in (WEIGHT, BIAS)]
        net[self.relu] = relu(net[self.name])
        return net[self.relu]


@dataclass(frozen=True)
class Other:
    """A layer of another type."""

    name: str
    make: Callable[[Top], Top]

    def add(self, net: caffe.NetSpec, top: Top) -> Top:
        net[self.name] = self.make(top)
        return net[self.name]


MAX = partial(max_pool, kernel_size=3, stride=2)

LARGE = (
    Convolution("conv1", 96, 11, 0.01, "relu0", stride=4),
    Convolution("cccp1", 96, 1, 0.05, "relu1"),
    Convolution("cccp2", 96, 1, 0.05, "relu2"),
    Other("pool0", MAX),
    Convolution("conv2", 256, 5, 0.05, "relu3", pad=2),
    Convolution("cccp3", 256, 1, 0.05, "relu5"),
    Convolution("cccp4", 256, 1, 0.05, "relu6"),
    Other("pool2", MAX),
    Convolution("conv3", 384, 3, 0.01, "relu7", pad=1),
    Convolution("cccp5", 384, 1, 0.05, "relu8"),
    Convolution("cccp6", 384, 1, 0.05, "relu9"),
    Other("pool3", MAX),
    Other("drop", dropout),
    Convolution("conv4-1024", 1024, 3, 0.05, "relu10", pad=1),
    Convolution("cccp7-1024", 1024, 1, 0.05, "relu11"),
    Convolution("cccp8-1024", 1000, 1, 0.01, "relu12"),
    Other("pool4", partial(average_pool, kernel_size=6)),
)
"""For ImageNet. The names are the published ones, which have gaps."""

SMALL = (
    Convolution("conv1", 192, 5, 0.05, "relu1", pad=2),
    Convolution("cccp1", 160, 1, 0.05, "relu_cccp1"),
    Convolution("cccp2", 96, 1, 0.05, "relu_cccp2"),
    Other("pool1", MAX),
    Other("drop3", dropout),
    Convolution("conv2", 192, 5, 0.05, "relu2", pad=2),
    Convolution("cccp3", 192, 1, 0.05, "relu_cccp3"),
    Convolution("cccp4", 192, 1, 0.05, "relu_cccp4"),
    Other("pool2", partial(average_pool, kernel_size=3, stride=2)),
    Other("drop6", dropout),
    Convolution("conv3", 192, 3, 0.05, "relu3", pad=1),
    Convolution("cccp5", 192, 1, 0.05, "relu_cccp5"),
    Convolution("cccp6", 10, 1, 0.05, "relu_cccp6", rate=0.1),
    Other("pool3", partial(average_pool, kernel_size=8)),
)
"""For CIFAR-10. The scores learn slowly; otherwise they all soon fall below 0, and their ReLU passes no gradient."""


def body(net: caffe.NetSpec, layers: Sequence[Convolution | Other]) -> Top:
    top = net.data
    for each in layers:
        top = each.add(net, top)
    return top


MODELS = {
    "nin": Model(
        "nin_imagenet",
        "Network in Network for ImageNet.",
        partial(body, layers=LARGE),
        (10, 3, 224, 224),
        databases(IMAGENET, (64, 50), PIXEL, 224),
        classify_top5,
        probabilities,
    ),
    "nin_cifar10": Model(
        "CIFAR10_NIN",
        "Network in Network for CIFAR-10.",
        partial(body, layers=SMALL),
        (1, 3, 32, 32),
        databases(cifar10.DATABASES, (128, 100), cifar10.PIXEL, factor=1 / 64),
        classify,
        probabilities,
    ),
}
