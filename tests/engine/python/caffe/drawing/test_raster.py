"""Drawings as pixels."""

import cv2
import numpy as np
import pytest
from caffe.drawing import raster
from caffe.drawing.diagram import Node
from caffe.drawing.layout import Box, Curve, Drawing

DRAWING = Drawing(
    100, 60, (Box(Node(("ä",), "#FF0000"), 50, 30, 60, 30),), (Curve(((2, 2), (2, 9), (90, 9), (90, 2)), "5", (9, 9)),)
)


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("form", raster.FORMATS)
def test_every_format(form):
    assert decoded(raster.write(DRAWING, form)).shape == (60, 100, 3)


def test_colours_are_the_nodes():
    assert decoded(raster.write(DRAWING, "png"))[40, 30].tolist() == [0, 0, 255]


def test_what_is_too_large_is_made_smaller(monkeypatch):
    monkeypatch.setattr(raster, "LONGEST", 50)
    assert decoded(raster.write(DRAWING, "png")).shape == (30, 50, 3)
    monkeypatch.setattr(raster, "MOST_PIXELS", 60)
    assert decoded(raster.write(DRAWING, "png")).shape == (6, 10, 3)
