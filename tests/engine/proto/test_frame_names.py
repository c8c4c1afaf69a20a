import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import frame_names

FLOW, RGB = pb.VideoDataParameter.FLOW, pb.VideoDataParameter.RGB


@pytest.mark.parametrize(
    ("param", "names"),
    [
        ({}, ["flow_x_0007.jpg", "flow_y_0007.jpg"]),
        ({"modality": RGB}, ["image_0007.jpg"]),
        ({"modality": RGB, "name_pattern": "f%d.png"}, ["f7.png"]),
        ({"name_pattern": "%c/%05d.png"}, ["x/00007.png", "y/00007.png"]),
    ],
)
def test_frames_are_called_by_the_pattern(param, names):
    assert frame_names.names(pb.VideoDataParameter(**param), 7) == names


@pytest.mark.parametrize(
    ("modality", "pattern"),
    [(RGB, "f.png"), (RGB, "%d%d"), (FLOW, "%04d.jpg"), (RGB, "%"), (RGB, "%q"), (RGB, "%09999999999d")],
)
def test_a_pattern_without_its_places_is_refused(modality, pattern):
    with pytest.raises(PrototxtError, match=r"name_pattern .* is wrong; it needs a"):
        frame_names.names(pb.VideoDataParameter(modality=modality, name_pattern=pattern), 1)
