import subprocess
import sys

import pytest

from engine.errors import LayerError
from engine.graph import known_layers
from engine.graph.build import build_graph
from engine.graph.graph import Node, Origin
from engine.layers.base import Layer
from engine.layers.registry import REGISTRY, VARIANTS, create, layer
from engine.proto import caffe_pb2 as pb
from engine.proto import forks, layer_names, text


def test_every_registered_type_is_listed():
    import engine.layers  # noqa: F401  fills the registry

    assert set(REGISTRY) == layer_names.TYPES


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Convolutoin", "Did you mean Convolution"),
        ("CoSData", "belongs to CaffeOnSpark"),
        ("Qqq", "There are: AbsVal"),
        ("Frobnicate", "There are: AbsVal"),
        ("Conv", "Did you mean Convolution"),
        ("", 'it has no type, as type: "Convolution"'),
        ("convolution", "Did you mean Convolution"),
        ("SoftmaxLoss", "Did you mean SoftmaxWithLoss"),
        ("CPMData", r"belongs to OpenPose \(CMU-"),
        ("ConvolutionRistretto", r"belongs to Ristretto"),
        ("L2Distance", "Did you mean InnerDistance"),
        ("Normalise", "Did you mean Normalize"),
        ("PriorBoxes", "Did you mean PriorBox"),
        ("ReLU7", "There are: AbsVal"),
        ("SoftmaxWithLossTwice", "There are: AbsVal"),
        ("LocalConvolution", "There are: AbsVal"),
    ],
)
def test_an_unknown_type_is_named_with_what_is_near(kind, said):
    net = pb.NetParameter(layer=[pb.LayerParameter(name="a", type=kind)])
    with pytest.raises(LayerError, match=f'layer "a".*{kind}.*{said}'):
        known_layers.check(build_graph(net, pb.NetState()))


def test_no_jax_is_needed():
    code = "import sys, engine.proto.layer_names; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", sorted(forks.TYPES))
def test_what_is_advised_is_not_refused_next(kind):
    """A type near one of a fork's must not be answered with that."""
    for slip in (kind[:-1], f"{kind}s", f"My{kind}"):
        advised = layer_names.unknown(slip).partition("Did you mean ")[2].rstrip("?").split(" or ")
        assert set(advised) <= layer_names.TYPES | {""}


def test_a_name_that_forks_share_is_the_layer_that_its_configuration_or_net_shows():
    class Usual(Layer):
        bottoms = tops = (0, None)

    class Other(Usual):
        pass

    class Third(Usual):
        pass

    try:
        layer("Twofold")(Usual)
        layer("Twofold", when=lambda config: config.HasField("relu6_param"))(Other)
        layer("Twofold", beside=["Axpy", "Mish"])(Third)
        made = [
            create(Node(pb.LayerParameter(type="Twofold", **more), (), (), Origin(None, ""), beside=frozenset(types)))
            for more, types in (({}, ["ReLU"]), ({"relu6_param": pb.ReLU6Parameter()}, []), ({}, ["ReLU", "Mish"]))
        ]
        assert [type(each) for each in made] == [Usual, Other, Third]
    finally:
        del REGISTRY["Twofold"], VARIANTS["Twofold"]


def test_all_that_is_not_there_is_said_at_once():
    net = text.parse(
        """layer { name: "a" type: "CPMData" } layer { name: "b" type: "ReLU" } layer { name: "c" type: "Nms" }
        layer { name: "d" type: "CPMData" } layer { name: "e" type: "Convolution" convolution_param { tf_pad: VALID } }
        layer { name: "f" type: "ELU" elu_param { lambda: 1 } }""",
        pb.NetParameter,
    )
    with pytest.raises(LayerError) as caught:
        known_layers.check(build_graph(net, pb.NetState()))
    said = str(caught.value).splitlines()
    assert [line.partition(" ")[2].partition(":")[0] for line in said] == [
        '"a" (CPMData)',
        '"c" (Nms)',
        '"e" (Convolution)',
    ]
    assert "convolution_param.tf_pad is a field of a fork" in said[2]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("power_param { power: nan }", "power_param.power is nan"),
        ("loss_weight: 1 loss_weight: nan", "loss_weight is nan"),
        ("convolution_param { weight_filler { std: -nan } }", "convolution_param.weight_filler.std is nan"),
        ("param { } param { lr_mult: nan }", "param.lr_mult is nan"),
    ],
)
def test_a_setting_that_is_no_number_is_refused(settings, said):
    net = text.parse(f'layer {{ name: "l" type: "Power" {settings} }}', pb.NetParameter)
    with pytest.raises(LayerError, match=f"{said}, which is not a number"):
        known_layers.check(build_graph(net, pb.NetState()))


@pytest.mark.parametrize(
    ("kind", "lacks"), [("Data", []), ("ImageData", []), ("AnnotatedData", ["random_resize_param"])]
)
def test_a_field_of_a_fork_is_refused_but_for_the_layers_that_obey_it(kind, lacks):
    config = text.parse(
        f'type: "{kind}" transform_param {{ crop_size: 8 vertical_stretch_upper: 1 random_resize_param {{ }} }}',
        pb.LayerParameter,
    )
    assert [name.partition(".")[2] for name in layer_names.not_obeyed(config)] == lacks
