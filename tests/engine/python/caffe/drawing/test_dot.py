"""Diagrams in Graphviz's language."""

import os

import pytest
from caffe.drawing import dot
from caffe.drawing.diagram import Diagram, Edge, Node

from engine.errors import NetError

TWO = Diagram(
    "net", {"a": Node(("a", "(ReLU)"), "#112233"), "b": Node(("b",), "#445566", True)}, (Edge("a", "b", "5"),)
)


def test_nodes_and_edges():
    assert dot.text(TWO, "LR").splitlines() == [
        'digraph "net" {',
        'rankdir="LR";',
        '"a" [label="a\\n(ReLU)", shape=box, style=filled, fillcolor="#112233"];',
        '"b" [label="b", shape=octagon, style=filled, fillcolor="#445566"];',
        '"a" -> "b" [label="5"];',
        "}",
    ]


def test_downwards_a_label_is_one_line():
    assert 'label="a (ReLU)"' in dot.text(TWO, "TB")


def test_names_stay_names():
    odd = 'a"]; b\\\n\x1b'
    assert '"a\\"]; b\\\\\\\\n\\\\x1b"' in dot.text(Diagram(odd, {}, ()), "LR")


def test_a_net_that_takes_graphviz_too_long_is_told_of_a_format_that_needs_none(tmp_path, monkeypatch):
    (tmp_path / "dot").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(dot, "PATIENCE", 0.1)
    with pytest.raises(NetError, match=r"did not finish .* Write a \.gv"):
        dot.run(dot.text(TWO, "LR"), "svg")
