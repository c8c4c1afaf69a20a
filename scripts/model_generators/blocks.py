"""Building blocks shared by several families of nets."""

from typing import Any

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

Top = Any

WEIGHT, BIAS = {"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}
"""Learning rate and decay multipliers of BVLC's models: biases learn twice as fast and do not decay."""

XAVIER, MSRA = {"type": "xavier"}, {"type": "msra"}


def gaussian(std: float) -> dict[str, Any]:
    return {"type": "gaussian", "std": std}


def learnt(num_output: int, filler: dict[str, Any], bias: float | None = 0) -> dict[str, Any]:
    """The fields of a layer with weights, and with a bias that starts as `bias`, or without one for None."""
    if bias is None:
        return {"num_output": num_output, "weight_filler": filler, "bias_term": False}
    bias_filler = {"type": "constant", "value": bias} if bias else {"type": "constant"}
    return {"num_output": num_output, "weight_filler": filler, "bias_filler": bias_filler, "param": [WEIGHT, BIAS]}


def convolution(
    bottom: Top, num_output: int, kernel_size: int, filler: dict[str, Any], bias: float | None = 0, **fields: int
) -> Top:
    """A convolution. `fields`: stride, pad, group if they differ from Caffe's defaults."""
    return L.Convolution(bottom, kernel_size=kernel_size, **fields, **learnt(num_output, filler, bias))


def product(bottom: Top, num_output: int, filler: dict[str, Any], bias: float = 0) -> Top:
    return L.InnerProduct(bottom, **learnt(num_output, filler, bias))


def relu(bottom: Top) -> Top:
    return L.ReLU(bottom, in_place=True)


def dropout(bottom: Top, ratio: float = 0.5) -> Top:
    return L.Dropout(bottom, dropout_ratio=ratio, in_place=True)


def max_pool(bottom: Top, kernel_size: int, stride: int, **fields: int) -> Top:
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **fields)


def average_pool(bottom: Top, kernel_size: int, stride: int = 1) -> Top:
    return L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=kernel_size, stride=stride)


def global_average(bottom: Top) -> Top:
    return L.Pooling(bottom, pool=P.Pooling.AVE, global_pooling=True)


def scale(bottom: Top) -> Top:
    """The learned scale and shift of each channel that follow its normalization."""
    return L.Scale(bottom, bias_term=True, in_place=True)


def normalized(net: caffe.NetSpec, name: str, number: str, top: Top) -> Top:
    """Adds the normalization, scale and ReLU of convolution `name`: conv2_1/x1/bn, conv2_1/x1/scale, relu2_1/x1."""
    net[f"{name}/bn"] = L.BatchNorm(top)
    net[f"{name}/scale"] = scale(net[f"{name}/bn"])
    net[f"relu{number}"] = relu(net[f"{name}/scale"])
    return net[f"relu{number}"]


def databases(
    names: tuple[str, str],
    batches: tuple[int, int],
    mean: tuple[float, ...],
    crop_size: int = 0,
    factor: float = 1,
    mirror: bool = True,
) -> list[caffe_pb2.LayerParameter]:
    """Data layers for two LMDBs of pictures, for training and tests. `mean`: by channel, in the databases' order."""
    layers = []
    for phase, name, batch_size in zip((caffe.TRAIN, caffe.TEST), names, batches, strict=True):
        layer = caffe_pb2.LayerParameter(name="data", type="Data", top=["data", "label"])
        layer.include.add(phase=phase)
        transform = layer.transform_param
        transform.mean_value.extend(mean)
        if factor != 1:
            transform.scale = factor
        if crop_size:
            transform.crop_size = crop_size
        if mirror and phase == caffe.TRAIN:
            transform.mirror = True
        layer.data_param.source = name
        layer.data_param.batch_size = batch_size
        layer.data_param.backend = P.Data.LMDB
        layers.append(layer)
    return layers


IMAGENET = ("ilsvrc12_train_lmdb", "ilsvrc12_val_lmdb")
"""Databases of 1.28 million and 50,000 pictures of 256×256, in blue, green, red, as from BVLC's create_imagenet.sh."""

PIXEL = (104, 117, 123)
"""The mean of ImageNet's pixels: blue, green, red."""
