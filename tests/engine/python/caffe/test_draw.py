"""caffe.draw: pictures of nets, with Graphviz and without."""

import sys

import caffe
import caffe.draw
import cv2
import numpy as np
import pytest
from caffe.drawing import dot

from engine.errors import NetError
from engine.proto import caffe_pb2 as pb
from engine.proto import text

NET = text.parse(
    """
    name: "small"
    layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 8 } include { phase: TRAIN } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
      convolution_param { num_output: 3 kernel_size: 5 } }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
    """,
    pb.NetParameter,
)


@pytest.fixture(autouse=True)
def without_graphviz(monkeypatch):
    monkeypatch.setattr(dot, "is_installed", lambda: False)


@pytest.fixture
def graphviz(tmp_path, monkeypatch):
    """A `dot` on PATH that says how it was called, or refuses."""
    monkeypatch.undo()
    program = tmp_path / "dot"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = -Tnone ]; then echo "no such format" >&2; exit 1; fi\necho "$@"; exec cat\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
@pytest.mark.parametrize("ext", ["png", "jpg"])
def test_pixels(rankdir, ext):
    picture = cv2.imdecode(np.frombuffer(caffe.draw.draw_net(NET, rankdir, ext), np.uint8), cv2.IMREAD_COLOR)
    height, width, _ = picture.shape
    assert (width > height) == (rankdir in ("LR", "RL"))
    assert picture.min() < 50 < 200 < picture.max()


def test_svg_names_everything():
    picture = caffe.draw.draw_net(NET, "LR", "svg").decode()
    assert picture.startswith("<?xml")
    for name in ("data", "label", "conv", "relu", "Batch 8", "kernel size: 5"):
        assert f">{name}</text>" in picture


def test_a_phase_and_learning_rates():
    picture = caffe.draw.draw_net(NET, "LR", "svg", caffe.TEST, display_lrm=True).decode()
    assert "label" not in picture
    assert "lr mult: 1.0, 1.0" in picture


def test_digits_word_for_downwards():
    assert caffe.draw.draw_net(NET, "UD", "svg") == caffe.draw.draw_net(NET, "TB", "svg")


@pytest.mark.parametrize("ext", ["raw", "gv", "dot"])
def test_the_language_of_graphviz(ext):
    assert caffe.draw.draw_net(NET, "TB", ext).startswith(b'digraph "small" {')


def test_graphviz_draws_where_it_is_installed(graphviz):
    assert caffe.draw.draw_net(NET, "LR", "pdf").startswith(b"-Tpdf\ndigraph")


def test_what_graphviz_refuses_is_told(graphviz):
    with pytest.raises(NetError, match="status 1: no such format"):
        caffe.draw.draw_net(NET, "LR", "none")


def test_to_file_takes_the_format_from_the_ending(tmp_path):
    caffe.draw.draw_net_to_file(NET, str(tmp_path / "net.SVG"))
    assert (tmp_path / "net.SVG").read_bytes() == caffe.draw.draw_net(NET, "LR", "svg")


def test_an_empty_net_and_an_old_one_are_drawn():
    assert caffe.draw.draw_net(pb.NetParameter(), "LR")
    old = text.parse('layers { name: "r" type: RELU bottom: "a" top: "b" }', pb.NetParameter)
    assert b"(ReLU)" in caffe.draw.draw_net(old, "LR", "svg")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: caffe.draw.draw_net(NET, "LR", "pdf"), 'format "pdf" is not available without Graphviz; svg, png'),
        (lambda: caffe.draw.draw_net(NET, "XY"), "LR, RL, TB, BT"),
        (lambda: caffe.draw.draw_net_to_file(NET, "net"), "file extension"),
        (lambda: caffe.draw.draw_net_to_file(NET, "/nowhere/net.png"), r"/nowhere/net\.png: cannot be written"),
    ],
)
def test_what_cannot_be_drawn_is_told(call, message):
    with pytest.raises(NetError, match=message):
        call()


def test_pydot_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(NetError, match="pip install pydot"):
        caffe.draw.get_pydot_graph(NET, "LR")


def test_a_graph_of_pydot():
    pytest.importorskip("pydot")
    assert len(caffe.draw.get_pydot_graph(NET, "LR", label_edges=False).get_edges()) == 6


@pytest.mark.parametrize("given", ["deploy.prototxt", None, pb.LayerParameter()])
def test_what_is_no_net_is_told(given):
    with pytest.raises(TypeError, match=f"caffe.draw needs a NetParameter, not {type(given).__name__}"):
        caffe.draw.draw_net(given)
