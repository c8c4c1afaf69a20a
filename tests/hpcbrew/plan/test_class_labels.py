from pathlib import Path

import pytest

from engine.graph.build import build_graph
from engine.graph.graph import Graph
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.errors import ManifestError
from hpcbrew.plan import class_labels

SCORES = """
layer { name: "in" type: "ImageData" top: "data" top: "label" }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
"""


def graph(more: str, path: Path | None = None) -> Graph:
    return build_graph(text.parse(SCORES + more, pb.NetParameter), pb.NetState(), path)


@pytest.mark.parametrize(
    "judge",
    [
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }',
        'layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" }',
    ],
)
def test_a_label_beyond_the_classes_is_named_with_its_place(judge: str) -> None:
    class_labels.check(graph(judge), "label", {0: "train.txt:1", 2: "train.txt:4"})
    for wrong in (3, -1):
        said = rf"^train\.txt:7: label {wrong} in \"label\"; the net has 3 classes, 0 to 2"
        with pytest.raises(ManifestError, match=said):
            class_labels.check(graph(judge), "label", {0: "train.txt:1", wrong: "train.txt:7"})


@pytest.mark.parametrize(
    "judge",
    [
        'layer { type: "EuclideanLoss" bottom: "ip" bottom: "label" }',
        'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_param { ignore_label: 9 } }',
        'layer { type: "Reshape" bottom: "ip" top: "r" } layer { type: "SoftmaxWithLoss" bottom: "r" bottom: "label" }',
    ],
    ids=["no classes", "ignored", "not told"],
)
def test_what_may_be_right_is_left_to_the_engine(judge: str) -> None:
    class_labels.check(graph(judge), "label", {9: "train.txt:1"})


def test_the_layer_that_cannot_take_a_label_is_named_with_its_line(tmp_path: Path) -> None:
    loss, path = (
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }',
        tmp_path / "net.prototxt",
    )
    path.write_text(SCORES + loss)
    with pytest.raises(
        ManifestError, match=r'in .*/net\.prototxt:5: layer "loss" \(SoftmaxWithLoss\)\. Correct the lab'
    ):
        class_labels.check(graph(loss, path), "label", {3: "train.txt:7"})
