"""GoogLeNet (Szegedy et al. 2014): inception modules, and two auxiliary losses for training."""

import caffe
from caffe import layers as L
from inception_modules import INCEPTIONS

from model_generators.blocks import (
    IMAGENET,
    PIXEL,
    XAVIER,
    Top,
    average_pool,
    convolution,
    databases,
    dropout,
    max_pool,
    product,
    relu,
)
from model_generators.model import Model, probabilities

BIAS = 0.2
"""The initial bias of each convolution."""


def block(net: caffe.NetSpec, name: str, bottom: Top, channels: int, kernel: int, **fields: int) -> Top:
    """A convolution and its ReLU: conv2/3x3 and conv2/relu_3x3."""
    family, _, suffix = name.rpartition("/")
    net[name] = convolution(bottom, channels, kernel, XAVIER, BIAS, **fields)
    net[f"{family}/relu_{suffix}"] = relu(net[name])
    return net[f"{family}/relu_{suffix}"]


def normalize(bottom: Top) -> Top:
    return L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)


def inception(net: caffe.NetSpec, number: str, bottom: Top) -> Top:
    one, three_reduced, three, five_reduced, five, pooled = INCEPTIONS[number]
    name = f"inception_{number}"
    sides = [block(net, f"{name}/1x1", bottom, one, 1)]
    narrow = block(net, f"{name}/3x3_reduce", bottom, three_reduced, 1)
    sides.append(block(net, f"{name}/3x3", narrow, three, 3, pad=1))
    narrow = block(net, f"{name}/5x5_reduce", bottom, five_reduced, 1)
    sides.append(block(net, f"{name}/5x5", narrow, five, 5, pad=2))
    net[f"{name}/pool"] = max_pool(bottom, 3, 1, pad=1)
    sides.append(block(net, f"{name}/pool_proj", net[f"{name}/pool"], pooled, 1))
    net[f"{name}/output"] = L.Concat(*sides)
    return net[f"{name}/output"]


def body(net: caffe.NetSpec) -> Top:
    top = block(net, "conv1/7x7_s2", net.data, 64, 7, stride=2, pad=3)
    top = net["pool1/3x3_s2"] = max_pool(top, 3, 2)
    top = net["pool1/norm1"] = normalize(top)
    top = block(net, "conv2/3x3_reduce", top, 64, 1)
    top = block(net, "conv2/3x3", top, 192, 3, pad=1)
    top = net["conv2/norm2"] = normalize(top)
    top = net["pool2/3x3_s2"] = max_pool(top, 3, 2)
    for number in INCEPTIONS:
        top = inception(net, number, top)
        if number in ("3b", "4e"):
            pool = f"pool{number[0] if number == '3b' else 4}/3x3_s2"
            top = net[pool] = max_pool(top, 3, 2)
    top = net["pool5/7x7_s1"] = average_pool(top, 7)
    top = net["pool5/drop_7x7_s1"] = dropout(top, 0.4)
    net["loss3/classifier"] = product(top, 1000, XAVIER)
    return net["loss3/classifier"]


def on_the_way(net: caffe.NetSpec, name: str, bottom: Top) -> Top:
    """The scores of an auxiliary loss."""
    net[f"{name}/ave_pool"] = average_pool(bottom, 5, 3)
    top = block(net, f"{name}/conv", net[f"{name}/ave_pool"], 128, 1)
    net[f"{name}/fc"] = product(top, 1024, XAVIER, BIAS)
    net[f"{name}/relu_fc"] = relu(net[f"{name}/fc"])
    net[f"{name}/drop_fc"] = dropout(net[f"{name}/relu_fc"], 0.7)
    net[f"{name}/classifier"] = product(net[f"{name}/drop_fc"], 1000, XAVIER)
    return net[f"{name}/classifier"]


def losses(net: caffe.NetSpec, score: Top) -> None:
    """The final loss, and auxiliary losses after the inceptions 4a and 4d, each with weight 0.3."""
    scores = {
        "loss1": (on_the_way(net, "loss1", net["inception_4a/output"]), 0.3),
        "loss2": (on_the_way(net, "loss2", net["inception_4d/output"]), 0.3),
        "loss3": (score, 1),
    }
    test_phase = {"phase": caffe.TEST}
    for name, (top, weight) in scores.items():
        net[f"{name}/{name}"] = L.SoftmaxWithLoss(top, net.label, loss_weight=weight)
        net[f"{name}/top-1"] = L.Accuracy(top, net.label, include=test_phase)
        net[f"{name}/top-5"] = L.Accuracy(top, net.label, top_k=5, include=test_phase)


MODELS = {
    "googlenet": Model(
        "GoogleNet",
        "GoogLeNet: nine inception modules.",
        body,
        (10, 3, 224, 224),
        databases(IMAGENET, (32, 50), PIXEL, 224),
        losses,
        probabilities,
    )
}
