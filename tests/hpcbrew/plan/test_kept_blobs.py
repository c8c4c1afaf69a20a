"""Which blobs stay until the gradient has gone by."""

from math import prod

import pytest

from engine.graph import blob_shapes, source_shapes
from engine.graph.build import build_graph
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.plan import kept_blobs

SOURCE = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n'
CONV = (
    'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 5 kernel_size: 1 } }\n'
)
X, C = 2 * 3 * 64, 2 * 5 * 64


@pytest.mark.parametrize(
    ("layers", "kept"),
    [
        ('layer { name: "r" type: "ReLU" bottom: "c" top: "c" }', [X, C]),
        ('layer { name: "r" type: "ReLU" bottom: "c" top: "r" }', [X, C]),
        ('layer { name: "n" type: "LRN" bottom: "c" top: "n" }', [X, 2 * C]),
        ('layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 2 } }', [X]),
        ('layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 2 } }', [X, C]),
        ('layer { name: "b" type: "BatchNorm" bottom: "c" top: "c" } '
         'layer { name: "s" type: "Scale" bottom: "c" top: "c" }', [X, C]),
        ('layer { name: "s" type: "Scale" bottom: "c" top: "c" }', [X, C]),
        ('layer { name: "d" type: "Dropout" bottom: "c" top: "c" }', [X]),
        ('layer { name: "f" type: "Flatten" bottom: "c" top: "f" } '
         'layer { name: "t" type: "TanH" bottom: "f" top: "t" } layer { name: "e" type: "Exp" bottom: "f" top: "e" }',
         [X, C, C]),
        ('layer { name: "e" type: "Eltwise" bottom: "c" bottom: "c" top: "e" }', [X]),
        ('layer { name: "e" type: "Eltwise" bottom: "c" bottom: "c" top: "e" eltwise_param { operation: PROD } }',
         [X, C]),
    ],
)  # fmt: skip
def test_a_gpu_keeps_what_a_gradient_is_computed_from_once(layers: str, kept: list[int]) -> None:
    graph = build_graph(text.parse(SOURCE + CONV + layers, pb.NetParameter), pb.NetState(phase=pb.TRAIN))
    sources = {i: source_shapes.given(node) or [] for i, node in enumerate(graph.nodes) if not node.bottoms}
    sizes = blob_shapes.sizes(graph, sources)
    assert sorted(kept_blobs.on_gpu(graph, sizes)) == sorted(kept)
    assert kept_blobs.of_products(graph, sizes) == [prod(shape) for shape in ((2, 3, 8, 8), (2, 5, 8, 8))]
