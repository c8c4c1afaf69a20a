"""Small nets in prototxt, one line per layer, and a batch for them."""

import numpy as np

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
LABELS = 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 } } }\n'
X = np.float32([[1, -2, 3], [0.5, 4, -1]])
"""A batch for INPUT."""


def made(prototxt, phase=pb.TRAIN):
    return Net.from_param(text.parse(prototxt, pb.NetParameter), phase)


def ip(name, bottom, top, outputs, more="", param=""):
    """An InnerProduct layer with xavier weights; `more` goes into the layer, `param` into its inner_product_param."""
    weights = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} {param} }}'
    return f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {weights} {more} }}\n'


def loss(bottom, name="loss", more=""):
    return f'layer {{ name: "{name}" type: "SoftmaxWithLoss" bottom: "{bottom}" bottom: "t" top: "{name}" {more} }}\n'


SMALL = INPUT + LABELS + ip("a", "x", "a", 4) + ip("b", "a", "b", 3) + loss("b")
