"""VGG-16 (Simonyan and Zisserman 2014, configuration D): 3×3 convolutions, in five blocks."""

import caffe

from model_generators.blocks import (
    IMAGENET,
    XAVIER,
    Top,
    convolution,
    databases,
    dropout,
    max_pool,
    product,
    relu,
)
from model_generators.model import Model, classify_top5, probabilities

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""The number of convolutions in each block, and their channels."""

PIXEL = (103.939, 116.779, 123.68)
"""The mean with which the published weights were trained."""


def convolutions(net: caffe.NetSpec, first_pad: int = 1) -> Top:
    """The five blocks with their pooling, with which FCN-8s also begins."""
    top = net.data
    for block, (count, channels) in enumerate(BLOCKS, start=1):
        for n in range(1, count + 1):
            pad = first_pad if (block, n) == (1, 1) else 1
            top = net[f"conv{block}_{n}"] = convolution(top, channels, 3, XAVIER, pad=pad)
            top = net[f"relu{block}_{n}"] = relu(top)
        top = net[f"pool{block}"] = max_pool(top, 2, 2)
    return top


def body(net: caffe.NetSpec) -> Top:
    top = convolutions(net)
    for n in (6, 7):
        top = net[f"fc{n}"] = product(top, 4096, XAVIER)
        top = net[f"relu{n}"] = relu(top)
        top = net[f"drop{n}"] = dropout(top)
    net.fc8 = product(top, 1000, XAVIER)
    return net.fc8


MODELS = {
    "vgg16": Model(
        "VGG_ILSVRC_16_layers",
        "VGG-16, configuration D of its paper.",
        body,
        (10, 3, 224, 224),
        databases(IMAGENET, (64, 25), PIXEL, 224),
        classify_top5,
        probabilities,
    )
}
