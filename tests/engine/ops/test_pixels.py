"""Pictures finished by a device: as the host does it, bit for bit."""

import numpy as np
import pytest

from engine.data import source
from engine.data.transform import Transform
from engine.ops.pixels import finished
from engine.proto import binary
from engine.proto import caffe_pb2 as pb

PICTURES = np.random.default_rng(1).integers(256, size=(32, 3, 12, 11), dtype=np.uint8)
MEAN = np.random.default_rng(2).random((3, 12, 11), np.float32) * 255


OF_A_FILE = [{}, {"scale": 0.0123}, {"crop_size": 5, "mirror": True, "scale": 0.3}]
OF_VALUES = [
    {"mirror": True, "mean_value": [104.1, 117.2, 123.3], "scale": 1 / 255},
    {"crop_size": 11, "mean_value": [9]},
]


@pytest.mark.parametrize("phase", [pb.TRAIN, pb.TEST])
@pytest.mark.parametrize(
    ("param", "mean"), [*((p, m) for p in OF_A_FILE for m in (False, True)), *((p, False) for p in OF_VALUES)], ids=str
)
def test_a_device_finishes_pictures_as_the_host_does(tmp_path, monkeypatch, param, mean, phase):
    monkeypatch.setattr(source, "WORTH", 0)
    path = tmp_path / "mean.binaryproto"
    binary.write(path, pb.BlobProto(num=1, channels=3, height=12, width=11, data=MEAN.ravel()))
    made = []
    for on_device in (False, True):
        transform = Transform(pb.TransformationParameter(**param), phase, path if mean else None)
        transform.on_device = on_device
        made.append(source.transformed(PICTURES, str, transform, source.draws(0, 0, len(PICTURES))))
    assert made[1].values.dtype == np.uint8
    np.testing.assert_array_equal(finished(made[1]), made[0])
