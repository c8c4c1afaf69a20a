"""What every layer has from its base class."""

import jax
import numpy as np
import pytest
from support.layer_cases import GOLDEN

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


RECORDED = sorted({path.stem for path in GOLDEN.glob("*.npz")} - {"filter"})
"""Without Filter, behind which layers are set up again when its rows are known."""


@pytest.mark.parametrize("name", RECORDED)
def test_forward_reads_no_configuration(name):
    record = np.load(GOLDEN / f"{name}.npz")
    net = Net.from_param(text.parse(str(record["prototxt"]), pb.NetParameter), pb.Phase.Value(str(record["phase"])))
    for layer in net.layers:
        del layer.config
    params = [np.zeros(param.shape, np.float32) for param in net.params]
    inputs = {key[len("in/") :]: record[key] for key in record.files if key.startswith("in/")}
    jax.eval_shape(net.forward, params, inputs, jax.random.key(1))
