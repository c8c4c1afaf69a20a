import subprocess
import sys

import pytest

from engine.errors import LayerError
from engine.graph import layer_names
from engine.graph.build import build_graph
from engine.layers.registry import REGISTRY
from engine.proto import caffe_pb2 as pb
from engine.proto import forks


def test_every_registered_type_is_listed():
    import engine.layers  # noqa: F401  fills the registry

    assert set(REGISTRY) == layer_names.TYPES


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Convolutoin", "Did you mean Convolution"),
        ("ROIPooling", "belongs to Faster R-CNN"),
        ("Qqq", "There are: AbsVal"),
        ("convolution", "Did you mean Convolution"),
        ("SoftmaxLoss", "Did you mean SoftmaxWithLoss"),
        ("Normalize", r"belongs to SSD \(weiliu89/caffe\)"),
        ("Convolution3D", r"belongs to C3D"),
        ("L2Normalize", "There are: AbsVal"),
        ("Normalise", "There are: AbsVal"),
        ("PriorBoxes", "There are: AbsVal"),
        ("ReLU7", "There are: AbsVal"),
        ("SoftmaxWithLossOHEM", "There are: AbsVal"),
        ("LocalConvolution", "There are: AbsVal"),
    ],
)
def test_an_unknown_type_is_named_with_what_is_near(kind, said):
    net = pb.NetParameter(layer=[pb.LayerParameter(name="a", type=kind)])
    with pytest.raises(LayerError, match=f'layer "a".*{kind}.*{said}'):
        layer_names.check(build_graph(net, pb.NetState()))


def test_no_jax_is_needed():
    code = "import sys, engine.graph.layer_names; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", sorted(forks.TYPES))
def test_what_is_advised_is_not_refused_next(kind):
    """A type near one of a fork's must not be answered with that."""
    for slip in (kind[:-1], f"{kind}s", f"My{kind}"):
        advised = layer_names.unknown(slip).partition("Did you mean ")[2].rstrip("?").split(" or ")
        assert set(advised) <= layer_names.TYPES | {""}
