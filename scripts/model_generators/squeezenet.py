"""SqueezeNet 1.1 (Iandola et al. 2016): fire modules, a narrow 1×1 convolution and two wide ones side by side."""

import caffe
from caffe import layers as L

from model_generators.blocks import (
    IMAGENET,
    PIXEL,
    XAVIER,
    Top,
    convolution,
    databases,
    dropout,
    gaussian,
    global_average,
    max_pool,
    relu,
)
from model_generators.model import Model, classify_top5, probabilities

FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
"""By module number: the channels of the narrow convolution, and of each wide one."""


def fire(net: caffe.NetSpec, bottom: Top, n: int) -> Top:
    squeezed, expanded = FIRES[n]
    name = f"fire{n}"
    net[f"{name}/squeeze1x1"] = convolution(bottom, squeezed, 1, XAVIER)
    narrow = net[f"{name}/relu_squeeze1x1"] = relu(net[f"{name}/squeeze1x1"])
    sides = []
    for kernel, pad in ((1, {}), (3, {"pad": 1})):
        wide = f"expand{kernel}x{kernel}"
        net[f"{name}/{wide}"] = convolution(narrow, expanded, kernel, XAVIER, **pad)
        sides.append(relu(net[f"{name}/{wide}"]))
        net[f"{name}/relu_{wide}"] = sides[-1]
    net[f"{name}/concat"] = L.Concat(*sides)
    return net[f"{name}/concat"]


def body(net: caffe.NetSpec) -> Top:
    net.conv1 = convolution(net.data, 64, 3, XAVIER, stride=2)
    net.relu_conv1 = relu(net.conv1)
    top = net.pool1 = max_pool(net.relu_conv1, 3, 2)
    for n in FIRES:
        top = fire(net, top, n)
        if n in (3, 5):
            top = net[f"pool{n}"] = max_pool(top, 3, 2)
    net.drop9 = dropout(top)
    net.conv10 = convolution(net.drop9, 1000, 1, gaussian(0.01))
    net.relu_conv10 = relu(net.conv10)
    net.pool10 = global_average(net.relu_conv10)
    return net.pool10


MODELS = {
    "squeezenet": Model(
        "SqueezeNet_v1.1",
        "SqueezeNet 1.1: AlexNet's accuracy with a fiftieth of its parameters.",
        body,
        (10, 3, 227, 227),
        databases(IMAGENET, (32, 25), PIXEL, 227),
        classify_top5,
        probabilities,
    )
}
