import subprocess
import sys

import pytest

from engine.errors import LayerError
from engine.graph import layer_names
from engine.graph.build import build_graph
from engine.layers.registry import REGISTRY
from engine.proto import caffe_pb2 as pb


def test_every_registered_type_is_listed():
    import engine.layers  # noqa: F401  fills the registry

    assert set(REGISTRY) == layer_names.TYPES


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Convolutoin", "Did you mean Convolution"),
        ("ROIPooling", "belongs to Faster R-CNN"),
        ("Qqq", "There are: AbsVal"),
    ],
)
def test_an_unknown_type_is_named_with_what_is_near(kind, said):
    net = pb.NetParameter(layer=[pb.LayerParameter(name="a", type=kind)])
    with pytest.raises(LayerError, match=f'layer "a".*{kind}.*{said}'):
        layer_names.check(build_graph(net, pb.NetState()))


def test_no_jax_is_needed():
    code = "import sys, engine.graph.layer_names; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
