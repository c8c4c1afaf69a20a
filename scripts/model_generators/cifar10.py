"""CIFAR-10's quick and full nets, after Krizhevsky's cuda-convnet: three convolutions of 5×5."""

import caffe
from caffe import layers as L
from caffe import params as P

from model_generators.blocks import (
    BIAS,
    Top,
    average_pool,
    convolution,
    databases,
    gaussian,
    max_pool,
    product,
    relu,
)
from model_generators.model import Model, classify, probabilities

DATABASES = ("cifar10_train_lmdb", "cifar10_test_lmdb")
PIXEL = (125.3, 123.0, 113.9)
"""The mean of the training pictures' pixels: red, green, blue, the order in which convert_cifar_data writes them."""


def first(net: caffe.NetSpec) -> Top:
    """The first stage. Only here the pooling, a maximum, precedes the ReLU; the result is the same, with less work."""
    net.conv1 = convolution(net.data, 32, 5, gaussian(0.0001), pad=2)
    net.pool1 = max_pool(net.conv1, 3, 2)
    net.relu1 = relu(net.pool1)
    return net.relu1


def later(net: caffe.NetSpec, n: int, bottom: Top, channels: int) -> Top:
    net[f"conv{n}"] = convolution(bottom, channels, 5, gaussian(0.01), pad=2)
    net[f"relu{n}"] = relu(net[f"conv{n}"])
    net[f"pool{n}"] = average_pool(net[f"relu{n}"], 3, 2)
    return net[f"pool{n}"]


def quick(net: caffe.NetSpec) -> Top:
    top = later(net, 3, later(net, 2, first(net), 32), 64)
    net.ip1 = product(top, 64, gaussian(0.1))
    net.ip2 = product(net.ip1, 10, gaussian(0.1))
    return net.ip2


def full(net: caffe.NetSpec) -> Top:
    """The full net, with normalization within each channel. The weights of the scores decay 250 times as fast."""
    top = first(net)
    for n, channels in ((2, 32), (3, 64)):
        net[f"norm{n - 1}"] = L.LRN(top, local_size=3, alpha=5e-5, beta=0.75, norm_region=P.LRN.WITHIN_CHANNEL)
        top = later(net, n, net[f"norm{n - 1}"], channels)
    net.ip1 = product(top, 10, gaussian(0.01))
    net.ip1.fn.params["param"] = [{"lr_mult": 1, "decay_mult": 250}, BIAS]
    return net.ip1


def model(name: str, about: str, body) -> Model:  # type: ignore[no-untyped-def]
    data = databases(DATABASES, (100, 100), PIXEL, mirror=False)
    return Model(name, about, body, (1, 3, 32, 32), data, classify, probabilities)


MODELS = {
    "cifar10_quick": model("CIFAR10_quick", "CIFAR-10's quick net: 75 % of the test pictures in minutes.", quick),
    "cifar10_full": model("CIFAR10_full", "CIFAR-10's full net: 81 % of the test pictures.", full),
}
