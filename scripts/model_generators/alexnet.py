"""AlexNet (Krizhevsky, Sutskever and Hinton 2012) and CaffeNet, which normalizes after pooling instead of before."""

from functools import partial

import caffe
from caffe import layers as L

from model_generators.blocks import (
    IMAGENET,
    PIXEL,
    Top,
    convolution,
    databases,
    dropout,
    gaussian,
    max_pool,
    product,
    relu,
)
from model_generators.model import Model, classify_top5, probabilities

CONVOLUTIONS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (96, 11, {"stride": 4}),
    (256, 5, {"pad": 2}),
    (384, 3, {"pad": 1}),
    (384, 3, {"pad": 1}),
    (256, 3, {"pad": 1}),
)
"""Channels, kernel size, and further fields."""

BIASED = (2, 4, 5)
"""The convolutions whose biases start above 0, like those of fc6 and fc7, so that their ReLUs get positive inputs."""


def normalize(bottom: Top) -> Top:
    return L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)


def body(net: caffe.NetSpec, bias: float, pool_first: bool) -> Top:
    """Five convolutions, three of them in two groups, and three inner products."""
    fine, coarse = gaussian(0.01), gaussian(0.005)
    top = net.data
    for n, (outputs, kernel, fields) in enumerate(CONVOLUTIONS, start=1):
        groups = {"group": 2} if n in BIASED else {}
        top = net[f"conv{n}"] = convolution(top, outputs, kernel, fine, bias if n in BIASED else 0, **fields, **groups)
        top = net[f"relu{n}"] = relu(top)
        if n < 3 and not pool_first:
            top = net[f"norm{n}"] = normalize(top)
        if n in (1, 2, 5):
            top = net[f"pool{n}"] = max_pool(top, 3, 2)
        if n < 3 and pool_first:
            top = net[f"norm{n}"] = normalize(top)
    for n in (6, 7):
        top = net[f"fc{n}"] = product(top, 4096, coarse, bias)
        top = net[f"relu{n}"] = relu(top)
        top = net[f"drop{n}"] = dropout(top)
    net.fc8 = product(top, 1000, fine)
    return net.fc8


def model(name: str, about: str, bias: float, pool_first: bool) -> Model:
    return Model(
        name,
        about,
        partial(body, bias=bias, pool_first=pool_first),
        (10, 3, 227, 227),
        databases(IMAGENET, (256, 50), PIXEL, 227),
        classify_top5,
        probabilities,
    )


MODELS = {
    "alexnet": model("AlexNet", "AlexNet, of two groups for the two GPUs of 2012.", 0.1, pool_first=False),
    "caffenet": model("CaffeNet", "CaffeNet: AlexNet, normalizing behind pooling.", 1, pool_first=True),
}
