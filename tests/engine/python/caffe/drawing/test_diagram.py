"""What a picture of a net shows."""

import pytest
from caffe.drawing import diagram

from engine.proto import caffe_pb2 as pb
from engine.proto import text


def of(source, **shown):
    return diagram.of_net(text.parse(source, pb.NetParameter), **shown)


def label(layer, **shown):
    (node, *_) = of(f'layer {{ name: "x" top: "y" {layer} }}', **shown).nodes.values()
    return node.label


@pytest.mark.parametrize(
    ("layer", "lines"),
    [
        ('type: "ReLU"', ("x", "(ReLU)")),
        (
            'type: "Convolution" convolution_param { kernel_size: 3 kernel_size: 5 stride: 2 stride: 2 }',
            ("x", "(Convolution)", "kernel size: 3x5", "stride: 2", "pad: 0"),
        ),
        (
            'type: "Deconvolution" convolution_param { kernel_h: 1 kernel_w: 7 pad_h: 0 pad_w: 3 }',
            ("x", "(Deconvolution)", "kernel size: 1x7", "stride: 1", "pad: 0x3"),
        ),
        (
            'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 }',
            ("x", "(Pooling AVE)", "kernel size: 3", "stride: 2", "pad: 0"),
        ),
        (
            'type: "Pooling" pooling_param { global_pooling: true }',
            ("x", "(Pooling MAX)", "kernel size: global", "stride: 1", "pad: 0"),
        ),
    ],
)
def test_labels_of_layers(layer, lines):
    assert label(layer) == lines


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ("", ("lr mult: 1.0, 1.0",)),
        ("param { lr_mult: 3 }", ("lr mult: 3.0, 1.0",)),
        ("param { lr_mult: 3 } param { lr_mult: 0 }", ("lr mult: 3.0, 0.0",)),
        ("param { lr_mult: 0 } param { lr_mult: 0 }", ()),
    ],
)
def test_learning_rates_where_something_learns(params, line):
    assert label(f'type: "InnerProduct" {params}', display_lrm=True)[2:] == line


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ('type: "Data" data_param { batch_size: 8 }', "Batch 8"),
        ('type: "InnerProduct" inner_product_param { num_output: 5 }', "5"),
        ('type: "ReLU"', ""),
    ],
)
def test_labels_of_edges(layer, said):
    source = f'layer {{ name: "x" top: "y" {layer} }}'
    assert of(source).edges[0].label == said
    assert not of(source, label_edges=False).edges[0].label


def test_blobs_stand_between_layers():
    drawn = of('layer { name: "a" type: "Input" top: "a" } layer { name: "b" type: "ReLU" bottom: "a" top: "b" }')
    assert [(e.source, e.target) for e in drawn.edges] == [
        ("a_Input", "a_blob"),
        ("a_blob", "b_ReLU"),
        ("b_ReLU", "b_blob"),
    ]
    assert [node.is_blob for node in drawn.nodes.values()] == [False, True, False, True]


def test_an_in_place_layer_is_green_and_goes_back():
    drawn = of('layer { name: "r" type: "ReLU" bottom: "a" top: "a" }')
    assert drawn.nodes["r_ReLU"].colour == diagram.GREEN
    assert [edge.back for edge in drawn.edges] == [False, True]


DATA = """layer { name: "d" type: "Data" top: "a" include { phase: TRAIN } data_param { batch_size: 1 } }
layer { name: "d" type: "Data" top: "a" include { phase: TEST } data_param { batch_size: 2 } }"""


def test_layers_of_one_name_and_two_phases_are_two():
    assert [edge.label for edge in of(DATA).edges] == ["Batch 1", "Batch 2"]
    assert [edge.source for edge in of(DATA).edges] == ["d_Data", "d_Data_1"]


def test_of_one_phase():
    assert [edge.label for edge in of(DATA, phase=pb.TEST).edges] == ["Batch 2"]
