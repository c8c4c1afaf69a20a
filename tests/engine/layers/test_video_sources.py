"""VideoData: what its options ask for."""

import cv2
import numpy as np
import pytest

from engine.errors import LayerError
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text


def net(listed, block, more="", source=True):
    named = f'source: "{listed}"' if source else ""
    return Net.from_param(
        text.parse(
            f"""layer {{ name: "d" type: "VideoData" top: "data" top: "label" {more}
            video_data_param {{ {named} batch_size: 2 modality: RGB {block} }} }}""",
            pb.NetParameter,
        )
    )


@pytest.fixture
def listed(tmp_path):
    """A list of one video of two 6 × 8 frames."""
    for n in (1, 2):
        cv2.imwrite(str(tmp_path / f"image_{n:04}.jpg"), np.zeros((6, 8, 3), np.uint8))
    path = tmp_path / "list.txt"
    path.write_text(f"{tmp_path} 2 0\n")
    return path


def test_the_layer_makes_such_batches(listed):
    made = net(listed, "new_length: 2", "transform_param { crop_size: 4 multi_scale: true }")
    assert made.blob_shapes == {"data": (2, 6, 4, 4), "label": (2, 1, 1, 1)}


@pytest.mark.parametrize(
    ("block", "source", "message"),
    [
        ("new_height: 4", True, "new_height 4 and new_width 0; set both or none"),
        ("num_segments: 0", True, "num_segments 0; each must be 1 or more"),
        ('name_pattern: "a.jpg"', True, 'name_pattern "a.jpg" is wrong; it needs a %d'),
        ("", False, "no source, a list of folders of frames"),
    ],
)
def test_wrong_options_are_refused(listed, block, source, message):
    with pytest.raises(LayerError, match=message):
        net(listed, block, source=source)


def test_more_segments_than_memory_holds_are_refused(listed, monkeypatch):
    monkeypatch.setattr("engine.host.memory.limit", lambda: 2**20)
    with pytest.raises(LayerError, match="num_segments: 9000 of each record takes"):
        net(listed, "num_segments: 9000")
