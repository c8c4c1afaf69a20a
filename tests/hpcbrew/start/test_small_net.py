from dataclasses import replace
from pathlib import Path

import pytest

from engine.graph.build import build_graph
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.start import small_net
from hpcbrew.start.pictures import Division, Pictures

NAMES = tuple((f"{n}.png", n % 2) for n in range(100))
PICTURES = Pictures(Path("/pets"), ("cat", "dog"), NAMES, 20, 30, alike=True, grey=False)
DIVISION = Division(NAMES[:70], NAMES[70:85], NAMES[85:])


@pytest.mark.parametrize(
    ("change", "side", "size", "stretch"),
    [
        ({}, None, (20, 30), False),
        ({"alike": False}, None, (32, 32), True),
        ({"height": 480, "width": 640}, None, (96, 96), True),
        ({"height": None, "width": None}, None, (64, 64), True),
        ({}, 48, (48, 48), True),
    ],
)
def test_the_size_follows_from_the_pictures(
    change: dict, side: int | None, size: tuple[int, int], stretch: bool
) -> None:
    net = small_net.design("pets", replace(PICTURES, **change), DIVISION, side)
    assert (net.size, net.stretch) == (size, stretch)


@pytest.mark.parametrize(("pictures", "size", "number"), [(15, 15, 1), (90, 90, 1), (1000, 100, 10), (1009, 92, 11)])
def test_the_tests_take_hardly_a_picture_twice(pictures: int, size: int, number: int) -> None:
    assert small_net.batches(pictures) == (size, number)


@pytest.mark.parametrize("grey", [False, True])
def test_the_definitions_are_of_one_net_in_each_phase(grey: bool) -> None:
    net = small_net.design('pe"ts', replace(PICTURES, grey=grey), DIVISION)
    made = small_net.prototxts(net)
    solver = text.parse(made["solver.prototxt"], pb.SolverParameter)
    trained, deployed = (text.parse(made[f"{name}.prototxt"], pb.NetParameter) for name in ("train_val", "deploy"))
    assert (solver.max_iter, solver.test_iter[0], trained.name) == (300, 1, 'pe"ts')
    lists = [
        build_graph(trained, state).nodes[0].config.image_data_param.source
        for state in (
            pb.NetState(phase=pb.TRAIN),
            pb.NetState(phase=pb.TEST),
            pb.NetState(phase=pb.TEST, stage=["test"]),
        )
    ]
    assert lists == ["train.txt", "val.txt", "test.txt"]
    assert {layer.name for layer in trained.layer if layer.param} == {
        layer.name for layer in deployed.layer if layer.param
    }
    assert list(deployed.layer[0].input_param.shape[0].dim) == [1, 1 if grey else 3, 20, 30]
    assert build_graph(deployed, pb.NetState(phase=pb.TEST)).outputs == ("prob",)


def test_the_weights_of_a_net_of_other_classes_fill_all_but_the_last_layer() -> None:
    learned = [
        {layer.name for layer in text.parse(made["deploy.prototxt"], pb.NetParameter).layer if layer.param}
        for made in (small_net.prototxts(small_net.design(f"{name}-small", PICTURES, DIVISION)) for name in "ab")
    ]
    assert learned[0] ^ learned[1] == {"scores_a", "scores_b"}
