from pathlib import Path

import caffe
import cv2
import numpy as np
import pytest

from engine.errors import DataError, EngineError
from engine.tools import model_pictures

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 2 kernel_size: 1 bias_term: false weight_filler { type: "constant" value: 1 } } }
layer { name: "all" type: "Reduction" bottom: "conv" top: "all" reduction_param { axis: 1 } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net that adds up the channels, its weights, and an orange picture: red 200, green 100, blue 0."""
    made = tmp_path_factory.mktemp("net")
    (made / "deploy.prototxt").write_text(NET)
    caffe.Net(str(made / "deploy.prototxt"), caffe.TEST).save(str(made / "a.caffemodel"))
    cv2.imwrite(str(made / "orange.png"), np.full((9, 5, 3), (0, 100, 200), np.uint8))
    return made


def test_filters_of_three_inputs_are_coloured() -> None:
    sheet, told = model_pictures.filters(np.arange(96 * 3 * 9, dtype=np.float32).reshape(96, 3, 3, 3))
    assert (sheet.low, sheet.high, told) == (0, 96 * 27 - 1, "96 filters of 3×3")


def test_others_are_in_grey_and_so_many_as_can_be_looked_at() -> None:
    assert model_pictures.filters(np.zeros((64, 32, 3, 3), np.float32))[1] == "1,024 of 2,048 filters of 3×3"
    assert model_pictures.filters(np.zeros((20, 1, 5, 5), np.float32))[1] == "20 filters of 5×5"


@pytest.mark.parametrize("shape", [(4, 3), (0, 3, 1, 1)])
def test_what_has_no_kernels_has_no_filters(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="are not filters"):
        model_pictures.filters(np.zeros(shape, np.float32))


def test_a_picture_is_seen_through_the_net(folder: Path) -> None:
    sheet, told = model_pictures.features(
        folder / "deploy.prototxt", folder / "a.caffemodel", folder / "orange.png", "conv", (0, 50, 50), 0.5
    )
    assert (sheet.high, told) == ((50 + 150) / 2, "2 of 2 maps of 6×6")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"blob": "cnv"}, 'no blob "cnv"; it has data, conv, all'),
        ({"blob": "all"}, "holds no feature maps"),
        ({"picture": "a.caffemodel"}, "a.caffemodel: "),
        ({"mean": (1, 2)}, "2 means for 3 channels"),
    ],
)
def test_what_cannot_be_drawn_is_told(folder: Path, change: dict, says: str) -> None:
    asked = {"picture": "orange.png", "blob": "conv", "mean": ()} | change
    with pytest.raises(EngineError, match=says):
        model_pictures.features(
            folder / "deploy.prototxt",
            folder / "a.caffemodel",
            folder / asked["picture"],
            asked["blob"],
            asked["mean"],
        )
