"""DenseImageData, ImageSegData and ImageLabelmapData: what their options ask for."""

import cv2
import numpy as np
import pytest

from engine.errors import LayerError
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text


@pytest.fixture
def listed(tmp_path):
    """A list of one 4 × 6 picture and its labels."""
    for name in ("a.png", "labels.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 6), np.uint8))
    path = tmp_path / "list.txt"
    path.write_text("a.png labels.png\n")
    return path


def data_layer(kind, block, tops=("data", "label"), more=""):
    named = " ".join(f'top: "{top}"' for top in tops)
    return Net.from_param(text.parse(f'layer {{ name: "d" type: "{kind}" {named} {block} {more} }}', pb.NetParameter))


def test_the_layers_make_such_batches(listed):
    dense = f'dense_image_data_param {{ source: "{listed}" batch_size: 2 new_height: 8 new_width: 8 }}'
    assert data_layer("DenseImageData", dense).blob_shapes == {"data": (2, 3, 8, 8), "label": (2, 1, 8, 8)}
    seg = (
        f'image_data_param {{ source: "{listed}" batch_size: 2 label_type: PIXEL }} transform_param {{ crop_size: 5 }}'
    )
    net = data_layer("ImageSegData", seg, ("data", "label", "size"))
    assert net.blob_shapes == {"data": (2, 3, 5, 5), "label": (2, 1, 5, 5), "size": (2, 1, 1, 2)}
    edges = f'image_data_param {{ source: "{listed}" batch_size: 2 }} transform_param {{ crop_size: 3 }}'
    assert data_layer("ImageLabelmapData", edges).blob_shapes == {"data": (2, 3, 3, 3), "label": (2, 1, 3, 3)}


@pytest.mark.parametrize(
    ("block", "more", "message"),
    [
        ("new_height: 4", "", "new_height 4 and new_width 0; set both or none"),
        ("crop_width: 4", "", "crop_height 0 and crop_width 4; set both or none"),
        ("", "transform_param { mirror: true }", "give mirror, crop_height and crop_width in"),
        ("label_divide_factor: 0", "", "label_divide_factor is 0"),
        ("label_divide_factor: 4294967295", "", "label_divide_factor is 4294967295; it must be .* below 2"),
    ],
)
def test_wrong_options_are_refused(listed, block, more, message):
    with pytest.raises(LayerError, match=message):
        data_layer(
            "DenseImageData", f'dense_image_data_param {{ source: "{listed}" batch_size: 2 {block} }}', more=more
        )


def test_edges_are_stretched_in_both_directions_or_not_at_all(listed):
    with pytest.raises(LayerError, match="new_height 4 and new_width 0"):
        data_layer("ImageLabelmapData", f'image_data_param {{ source: "{listed}" batch_size: 2 new_height: 4 }}')
