"""FCN-8s (Long, Shelhamer and Darrell 2015): VGG-16 as convolutions, whose scores of three sizes are added up."""

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2

from model_generators.blocks import BIAS, MSRA, PIXEL, WEIGHT, Top, convolution, dropout, relu
from model_generators.model import Model
from model_generators.vgg import convolutions

CLASSES = 21
"""PASCAL VOC's 20, and the background."""


def score(bottom: Top, weight: float = 1) -> Top:
    """Scores of each place, 0 to begin with, that learn as if they were multiplied by `weight`."""
    rates = [{**each, "lr_mult": weight**2 * each["lr_mult"]} for each in (WEIGHT, BIAS)]
    return L.Convolution(bottom, num_output=CLASSES, kernel_size=1, param=rates)


def upsample(bottom: Top, times: int) -> Top:
    """Bilinear interpolation, which is not learnt: `init_weights.py` sets its weights."""
    fields = {"num_output": CLASSES, "kernel_size": 2 * times, "stride": times, "bias_term": False}
    return L.Deconvolution(bottom, convolution_param=fields, param=[{"lr_mult": 0}])


def cropped(top: Top, like: Top, offset: int) -> Top:
    """The part of `top` that lies above `like`."""
    return L.Crop(top, like, axis=2, offset=offset)


def body(net: caffe.NetSpec) -> Top:
    """The first convolution is padded by 100, so that pictures of any size leave something behind the last pooling."""
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
    """The sum over all places, not their mean: the rate of learning is that of sums. 255 marks places of no class."""
    net.loss = L.SoftmaxWithLoss(top, net.label, loss_param={"ignore_label": 255, "normalize": False})
    net.accuracy = L.Accuracy(top, net.label, ignore_label=255, include={"phase": caffe.TEST})


def pairs() -> list[caffe_pb2.LayerParameter]:
    """Pictures of their own sizes, one at a time, and a class for each of their pixels."""
    made = []
    for phase, name in ((caffe.TRAIN, "train.txt"), (caffe.TEST, "val.txt")):
        layer = caffe_pb2.LayerParameter(name="data", type="DenseImageData", top=["data", "label"])
        layer.include.add(phase=phase)
        layer.transform_param.mean_value.extend(PIXEL)
        layer.dense_image_data_param.source = name
        layer.dense_image_data_param.batch_size = 1
        layer.dense_image_data_param.shuffle = phase == caffe.TRAIN
        made.append(layer)
    return made


def answer(net: caffe.NetSpec, top: Top) -> None:
    """The scores as they are: the class of a place is that of the largest."""


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
