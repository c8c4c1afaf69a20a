"""What every layer has from its base class."""

import pytest

from engine.errors import LayerError
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text


def test_an_error_names_bottoms_as_the_file_does_behind_splits_too():
    source = """
    layer { name: "in" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 } shape { dim: 3 } } }
    layer { name: "a" type: "ReLU" bottom: "x" top: "a" }
    layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "y" top: "sum" }
    """
    with pytest.raises(LayerError, match=r'layer "sum".*bottom "y" has shape \[3\] and bottom "x" \[2\]'):
        Net.from_param(text.parse(source, pb.NetParameter))
