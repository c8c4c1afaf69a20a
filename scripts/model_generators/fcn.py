"""FCN-8s (Long, Shelhamer and Darrell 2015): VGG-16 made of convolutions, with scores of three resolutions added."""

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2

from model_generators.blocks import BIAS, MSRA, PIXEL, WEIGHT, Top, convolution, dropout, relu
from model_generators.model import Model
from model_generators.vgg import convolutions

CLASSES = 21
"""PASCAL VOC's 20 classes and the background."""


def score(bottom: Top, weight: float = 1) -> Top:
    """Scores at each position, initially 0, which learn as if they were multiplied by `weight`."""
    rates = [{**each, "lr_mult": weight**2 * each["lr_mult"]} for each in (WEIGHT, BIAS)]
    return L.Convolution(bottom, num_output=CLASSES, kernel_size=1, param=rates)


def upsample(bottom: Top, times: int) -> Top:
    """Bilinear interpolation, which is not learned: `init_weights.py` sets its weights."""
    fields = {"num_output": CLASSES, "kernel_size": 2 * times, "stride": times, "bias_term": False}
    return L.Deconvolution(bottom, convolution_param=fields, param=[{"lr_mult": 0}])


def cropped(top: Top, like: Top, offset: int) -> Top:
    """The part of `top` that covers the region of `like`."""
    return L.Crop(top, like, axis=2, offset=offset)


def body(net: caffe.NetSpec) -> Top:
    """The net. Its first convolution is padded by 100, so that pictures of any size survive all poolings."""
    top = convolutions(net, first_pad=100)
    for n, kernel in ((6, 7), (7, 1)):
        top = net[f"fc{n}"] = convolution(top, 4096, kernel, MSRA)
        top = net[f"relu{n}"] = relu(top)
        top = net[f"drop{n}"] = dropout(top)
    net.score_fr = score(top)
    net.upscore2 = upsample(net.score_fr, 2)
    net.score_pool4 = score(net.pool4, 0.01)
    net.score_pool4c = cropped(net.score_pool4, net.upscore2, 5)
    net.fuse_pool4 = L.Eltwise(net.upscore2, net.score_pool4c)
    net.upscore_pool4 = upsample(net.fuse_pool4, 2)
    net.score_pool3 = score(net.pool3, 0.0001)
    net.score_pool3c = cropped(net.score_pool3, net.upscore_pool4, 9)
    net.fuse_pool3 = L.Eltwise(net.upscore_pool4, net.score_pool3c)
    net.upscore8 = upsample(net.fuse_pool3, 8)
    net.score = cropped(net.upscore8, net.data, 31)
    return net.score


def losses(net: caffe.NetSpec, top: Top) -> None:
    """The loss is summed, not averaged, over all positions, and the learning rate is chosen for that. 255: no class."""
    net.loss = L.SoftmaxWithLoss(top, net.label, loss_param={"ignore_label": 255, "normalize": False})
    net.accuracy = L.Accuracy(top, net.label, ignore_label=255, include={"phase": caffe.TEST})


def pairs() -> list[caffe_pb2.LayerParameter]:
    """Data layers for pictures of any size, one at a time, with a class for each pixel."""
    layers = []
    for phase, name in ((caffe.TRAIN, "train.txt"), (caffe.TEST, "val.txt")):
        layer = caffe_pb2.LayerParameter(name="data", type="DenseImageData", top=["data", "label"])
        layer.include.add(phase=phase)
        layer.transform_param.mean_value.extend(PIXEL)
        layer.dense_image_data_param.source = name
        layer.dense_image_data_param.batch_size = 1
        layer.dense_image_data_param.shuffle = phase == caffe.TRAIN
        layers.append(layer)
    return layers


def answer(net: caffe.NetSpec, top: Top) -> None:
    """Adds nothing: the class of a position is that of its largest score."""


MODELS = {
    "fcn8s": Model(
        "FCN-8s",
        "FCN-8s for PASCAL VOC: a class for each pixel.",
        body,
        (1, 3, 500, 500),
        pairs(),
        losses,
        answer,
    )
}
