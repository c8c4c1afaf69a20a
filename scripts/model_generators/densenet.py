"""DenseNet-121 (Huang et al. 2016): each layer of a block gets the tops of all layers before it."""

import caffe
from caffe import layers as L
from caffe import params as P

from model_generators.blocks import (
    IMAGENET,
    MSRA,
    Top,
    average_pool,
    convolution,
    databases,
    global_average,
    max_pool,
    normalized,
)
from model_generators.mobilenet import FACTOR, PIXEL
from model_generators.model import Model, classify_top5, probabilities

BLOCKS = {2: 6, 3: 12, 4: 24, 5: 16}
"""Layers of each block."""

GROWTH = 32
"""Channels added by each layer."""


def layer(net: caffe.NetSpec, number: str, bottom: Top) -> Top:
    """The bottom with 32 more channels, computed by way of 128 channels."""
    narrow, wide = f"conv{number}/x1", f"conv{number}/x2"
    net[narrow] = convolution(normalized(net, narrow, f"{number}/x1", bottom), 4 * GROWTH, 1, MSRA, None)
    net[wide] = convolution(normalized(net, wide, f"{number}/x2", net[narrow]), GROWTH, 3, MSRA, None, pad=1)
    net[f"concat_{number}"] = L.Concat(bottom, net[wide])
    return net[f"concat_{number}"]


def body(net: caffe.NetSpec) -> Top:
    net.conv1 = convolution(net.data, 64, 7, MSRA, None, stride=2, pad=3)
    top = normalized(net, "conv1", "1", net.conv1)
    top = net.pool1 = max_pool(top, 3, 2, pad=1, round_mode=P.Pooling.FLOOR)
    channels = 2 * GROWTH
    for block, count in BLOCKS.items():
        for n in range(1, count + 1):
            top = layer(net, f"{block}_{n}", top)
        channels += count * GROWTH
        name = f"conv{block}_blk"
        top = normalized(net, name, f"{block}_blk", top)
        if block < 5:
            channels //= 2
            net[name] = convolution(top, channels, 1, MSRA, None)
            top = net[f"pool{block}"] = average_pool(net[name], 2, 2)
    net.pool5 = global_average(top)
    net.fc6 = convolution(net.pool5, 1000, 1, MSRA)
    return net.fc6


MODELS = {
    "densenet121": Model(
        "DENSENET_121",
        "DenseNet-121: four dense blocks, each layer of which adds 32 channels.",
        body,
        (1, 3, 224, 224),
        databases(IMAGENET, (64, 25), PIXEL, 224, FACTOR),
        classify_top5,
        probabilities,
    )
}
