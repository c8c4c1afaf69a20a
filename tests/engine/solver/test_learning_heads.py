"""Small nets of the forks learn from made pictures: a SegNet, and a head on pooled regions. Slow: `pytest -m slow`."""

import numpy as np
import pytest
from support.tiny_solver import parameter

from engine.solver.solver import Solver

CONVOLUTION = """
layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}"
  convolution_param {{ num_output: {2} kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "{0}_bn" type: "BN" bottom: "{0}" top: "{0}"
  bn_param {{ scale_filler {{ value: 1 }} shift_filler {{ value: 0 }} }} }}
layer {{ name: "{0}_relu" type: "ReLU" bottom: "{0}" top: "{0}" }}
""".format

POOL = """
layer {{ name: "{0}" type: "Pooling" bottom: "{1}" top: "{0}" top: "{0}_mask"
  pooling_param {{ kernel_size: 2 stride: 2 }} }}
""".format
UNPOOL = """
layer {{ name: "{0}" type: "Upsample" bottom: "{1}" bottom: "{2}_mask" top: "{0}" upsample_param {{ scale: 2 }} }}
""".format

SEGNET = "\n".join(
    [
        'layer { name: "in" type: "Input" top: "x" top: "t" input_param { shape { dim: 8 dim: 1 dim: 16 dim: 16 } } }',
        CONVOLUTION("c1", "x", 8),
        POOL("p1", "c1"),
        CONVOLUTION("c2", "p1", 8),
        POOL("p2", "c2"),
        UNPOOL("u2", "p2", "p2"),
        CONVOLUTION("d2", "u2", 8),
        UNPOOL("u1", "d2", "p1"),
        CONVOLUTION("d1", "u1", 8),
        'layer { name: "y" type: "Convolution" bottom: "d1" top: "y" convolution_param { num_output: 3 kernel_size: 1 '
        'weight_filler { type: "msra" } } }',
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" loss_param { '
        "weight_by_label_freqs: true class_weighting: 0.5 class_weighting: 1 class_weighting: 1 normalize: true } }",
        'layer { name: "figures" type: "SegAccuracy" bottom: "y" bottom: "t" top: "figures" }',
    ]
)

HEAD = """
layer { name: "in" type: "Input" top: "x" top: "rois" top: "t" top: "boxes"
  input_param { shape { dim: 2 dim: 1 dim: 16 dim: 16 } shape { dim: 16 dim: 5 } shape { dim: 16 }
    shape { dim: 16 dim: 4 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "pool" type: "ROIPooling" bottom: "c" bottom: "rois" top: "pool"
  roi_pooling_param { pooled_h: 4 pooled_w: 4 spatial_scale: 0.5 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 32 weight_filler { type: "msra" } } }
layer { name: "relu2" type: "ReLU" bottom: "fc" top: "fc" }
layer { name: "y" type: "InnerProduct" bottom: "fc" top: "y"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
layer { name: "box" type: "InnerProduct" bottom: "fc" top: "box"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "box_loss" type: "SmoothL1Loss" bottom: "box" bottom: "boxes" top: "box_loss" loss_weight: 1
  smooth_l1_loss_param { sigma: 1 } }
layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "t" top: "accuracy" }
"""


def shapes(rng, pictures):
    """Pictures (n, 1, 16, 16) of a bright square and a dark, empty one on noise, and which place is which."""
    x = rng.normal(0, 0.2, (pictures, 1, 16, 16))
    t = np.zeros((pictures, 1, 16, 16))
    for n in range(pictures):
        for label, value in ((1, 1.5), (2, -1.5)):
            size = rng.integers(4, 8)
            row, column = rng.integers(0, 16 - size, 2)
            part = np.s_[n, 0, row : row + size, column : column + size]
            x[part], t[part] = value, label
    return x, t


def regions(rng):
    """Two pictures, sixteen regions around squares in them, their labels, and how far each square lies off."""
    x, rois, labels, boxes = rng.normal(0, 0.2, (2, 1, 16, 16)), [], [], []
    for n in range(2):
        for i in range(8):
            row, column = 8 * (i // 4), 4 * (i % 4)
            label = rng.integers(3)
            down = rng.integers(0, 4)
            x[n, 0, row + down : row + down + 4, column : column + 4] += (0, 1.5, -1.5)[label]
            rois.append([n, 2 * column, 2 * row, 2 * column + 7, 2 * row + 15])
            labels.append(label)
            boxes.append([down / 4 if label else 0, 0, 0, 0])
    return x, np.array(rois), np.array(labels), np.array(boxes)


def trained(net, settings, made, iterations):
    """The solver after so many iterations, each on a batch of its own."""
    solver = Solver(parameter(settings, net))
    rng = np.random.default_rng(0)
    for _ in range(iterations):
        for name, value in made(rng).items():
            solver.batches.values[name][...] = value
        solver.step(1)
    return solver


def value_of(solver, made, top):
    """A top of the trained net for a new batch."""
    batch = {name: np.asarray(v, np.float32) for name, v in made(np.random.default_rng(99)).items()}
    forward = solver.net.forward(solver.params, batch, keep=True)
    return np.asarray({value.blob: v for value, v in forward.values.items()}[top])


@pytest.mark.slow
def test_a_segnet_finds_the_squares():
    def made(rng):
        return dict(zip("xt", shapes(rng, 8), strict=True))

    solver = trained(SEGNET, 'base_lr: 0.02 type: "Adam" momentum: 0.9 max_iter: 300', made, 300)
    iou = value_of(solver, made, "figures")[0, 0, 0, 2]
    assert iou > 0.8


@pytest.mark.slow
def test_a_head_on_pooled_regions_tells_what_is_in_them_and_where():
    def made(rng):
        return dict(zip(("x", "rois", "t", "boxes"), regions(rng), strict=True))

    solver = trained(HEAD, 'base_lr: 0.005 type: "Adam" momentum: 0.9 max_iter: 600', made, 600)
    assert value_of(solver, made, "accuracy") >= 15 / 16
    assert value_of(solver, made, "box_loss") < 0.02
