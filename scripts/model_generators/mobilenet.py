"""MobileNet v1 (Howard et al. 2017): depthwise convolutions, each followed by a 1×1 convolution that mixes channels."""

import caffe

from model_generators.blocks import (
    IMAGENET,
    MSRA,
    Top,
    convolution,
    databases,
    global_average,
    normalized,
)
from model_generators.model import Model, classify_top5, probabilities

PAIRS = (
    ("2_1", 64, 1),
    ("2_2", 128, 2),
    ("3_1", 128, 1),
    ("3_2", 256, 2),
    ("4_1", 256, 1),
    ("4_2", 512, 2),
    *((f"5_{n}", 512, 1) for n in range(1, 6)),
    ("5_6", 1024, 2),
    ("6", 1024, 1),
)
"""Number, output channels, stride: table 1 of the paper."""

PIXEL = (103.94, 116.78, 123.68)
FACTOR = 0.017
"""Mean and scale with which the published weights were trained; 0.017 ≈ 1 / 58, the inverse of the pixels' standard
deviation in ImageNet."""


def body(net: caffe.NetSpec) -> Top:
    net.conv1 = convolution(net.data, 32, 3, MSRA, None, stride=2, pad=1)
    top, channels = normalized(net, "conv1", "1", net.conv1), 32
    for number, wider, stride in PAIRS:
        options = {"stride": stride} if stride > 1 else {}
        name = f"conv{number}/dw"
        net[name] = convolution(top, channels, 3, MSRA, None, pad=1, group=channels, **options)
        # Weight decay harms these filters, which have only nine weights per channel.
        net[name].fn.params["param"] = [{"decay_mult": 0}]
        top = normalized(net, name, f"{number}/dw", net[name])
        mix = f"conv{number}/sep"
        net[mix] = convolution(top, wider, 1, MSRA, None)
        top, channels = normalized(net, mix, f"{number}/sep", net[mix]), wider
    net.pool6 = global_average(top)
    net.fc7 = convolution(net.pool6, 1000, 1, MSRA)
    return net.fc7


MODELS = {
    "mobilenet": Model(
        "MOBILENET",
        "MobileNet v1, of full width.",
        body,
        (1, 3, 224, 224),
        databases(IMAGENET, (64, 50), PIXEL, 224, FACTOR),
        classify_top5,
        probabilities,
    )
}
