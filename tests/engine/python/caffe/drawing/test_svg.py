"""Drawings as SVG."""

from xml.etree import ElementTree

from caffe.drawing import svg
from caffe.drawing.diagram import Node
from caffe.drawing.layout import Box, Curve, Drawing

SVG = "{http://www.w3.org/2000/svg}"


def test_boxes_curves_and_labels():
    boxes = Box(Node(("a", "b"), "#112233"), 50, 20, 40, 30), Box(Node(("c",), "#112233", True), 50, 90, 40, 30)
    drawing = Drawing(100, 120, boxes, (Curve(((50, 35), (50, 55), (50, 55), (50, 75)), "5", (50, 60)),))
    root = ElementTree.fromstring(svg.write(drawing))
    assert root.get("width") == "100"
    assert [text.text for text in root.iter(f"{SVG}text")] == ["5", "a", "b", "c"]
    assert len(root.findall(f"{SVG}polygon")) == 1
    assert root.findall(f"{SVG}path")[0].get("d") == "M50.0,35.0 C50.0,55.0 50.0,55.0 50.0,75.0"


def test_any_name_is_well_formed():
    box = Box(Node(('<&>"\x00\x1b\ud800\uffff',), "#112233"), 50, 20, 40, 30)
    root = ElementTree.fromstring(svg.write(Drawing(100, 50, (box,), ())))
    assert next(root.iter(f"{SVG}text")).text.startswith('<&>"\\x00\\x1b')
