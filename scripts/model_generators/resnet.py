"""ResNet-18 and ResNet-50 (He et al. 2015): blocks whose output is added to their input."""

from dataclasses import dataclass
from functools import partial

import caffe
from caffe import layers as L

from model_generators.blocks import (
    IMAGENET,
    MSRA,
    PIXEL,
    Top,
    convolution,
    databases,
    global_average,
    max_pool,
    product,
    relu,
    scale,
)
from model_generators.model import Model, classify_top5, probabilities

STAGES = (64, 128, 256, 512)
"""The channels of the blocks' 3×3 convolutions."""


@dataclass(frozen=True)
class Depth:
    """`blocks`: the number in each stage. `bottleneck`: whether a block is 1×1, 3×3, 1×1 with four times the channels,
    or else two 3×3 convolutions. `first_bias`: whether the first convolution has a bias, as in the published ResNet-50,
    although the normalization makes it redundant.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool
    first_bias: bool


def normalized(
    net: caffe.NetSpec, name: str, suffix: str, bottom: Top, channels: int, kernel: int, stride: int = 1
) -> Top:
    """Adds a convolution, its normalization and its scale: res2a_branch1, bn2a_branch1 and scale2a_branch1."""
    pad = {"pad": kernel // 2} if kernel > 1 else {}
    options = {"stride": stride} if stride > 1 else {}
    net[name] = convolution(bottom, channels, kernel, MSRA, None, **pad, **options)
    net[f"bn{suffix}"] = L.BatchNorm(net[name], in_place=True)
    net[f"scale{suffix}"] = scale(net[f"bn{suffix}"])
    return net[f"scale{suffix}"]


def block(net: caffe.NetSpec, name: str, bottom: Top, channels: int, stride: int, depth: Depth, project: bool) -> Top:
    """Adds a residual block. `project`: the shortcut is a 1×1 convolution instead of the identity."""
    convolutions = (
        ((channels, 1, stride), (channels, 3, 1), (4 * channels, 1, 1))
        if depth.bottleneck
        else ((channels, 3, stride), (channels, 3, 1))
    )
    shortcut = bottom
    if project:
        shortcut = normalized(net, f"res{name}_branch1", f"{name}_branch1", bottom, convolutions[-1][0], 1, stride)
    top = bottom
    for n, (outputs, kernel, step) in enumerate(convolutions):
        suffix = f"{name}_branch2{'abc'[n]}"
        top = normalized(net, f"res{suffix}", suffix, top, outputs, kernel, step)
        if n + 1 < len(convolutions):
            top = net[f"res{suffix}_relu"] = relu(top)
    net[f"res{name}"] = L.Eltwise(shortcut, top)
    net[f"res{name}_relu"] = relu(net[f"res{name}"])
    return net[f"res{name}_relu"]


def body(net: caffe.NetSpec, depth: Depth) -> Top:
    top = normalized(net, "conv1", "_conv1", net.data, 64, 7, 2)
    if depth.first_bias:
        del net.conv1.fn.params["bias_term"]
    net.conv1_relu = relu(top)
    top = net.pool1 = max_pool(net.conv1_relu, 3, 2)
    for stage, (channels, count) in enumerate(zip(STAGES, depth.blocks, strict=True), start=2):
        for n in range(count):
            first = n == 0
            stride = 2 if first and stage > 2 else 1
            project = first and (depth.bottleneck or stage > 2)
            top = block(net, f"{stage}{chr(ord('a') + n)}", top, channels, stride, depth, project)
    net.pool5 = global_average(top)
    net.fc1000 = product(net.pool5, 1000, MSRA)
    return net.fc1000


def model(name: str, depth: Depth, batches: tuple[int, int]) -> Model:
    data = databases(IMAGENET, batches, PIXEL, 224)
    about = f"{name}: residual blocks, {'of three convolutions' if depth.bottleneck else 'of two convolutions'}."
    return Model(name, about, partial(body, depth=depth), (1, 3, 224, 224), data, classify_top5, probabilities)


MODELS = {
    "resnet18": model("ResNet-18", Depth((2, 2, 2, 2), bottleneck=False, first_bias=False), (128, 50)),
    "resnet50": model("ResNet-50", Depth((3, 4, 6, 3), bottleneck=True, first_bias=True), (64, 25)),
}
