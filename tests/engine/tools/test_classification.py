"""classification: what Caffe's example in C++ prints, as recorded of a net that gives the channels' means."""

import caffe
import cv2
import numpy as np
import pytest

from engine.proto import caffe_pb2 as pb
from engine.tools import classification

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 6 } } }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" pooling_param { pool: AVE global_pooling: true } }
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy.prototxt").write_text(NET)
    caffe.Net("deploy.prototxt", caffe.TEST).save("net.caffemodel")
    mean = pb.BlobProto(num=1, channels=3, height=1, width=2, data=[0, 20, 5, 5, 1, 2])
    (tmp_path / "mean.binaryproto").write_bytes(mean.SerializeToString())
    (tmp_path / "labels.txt").write_text("blue\ngreen, or so\nred\n")
    cv2.imwrite("a.png", np.full((8, 5, 4), (0, 100, 200, 255), np.uint8))
    return ["deploy.prototxt", "net.caffemodel", "mean.binaryproto", "labels.txt", "a.png"]


def test_the_likeliest_classes_are_told_with_their_scores(files, capsys):
    assert classification.main(files) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "---------- Prediction for a.png ----------",
        '198.5000 - "red"',
        '95.0000 - "green, or so"',
        '-10.0000 - "blue"',
    ]


@pytest.mark.parametrize(
    ("place", "content", "message"),
    [
        (2, pb.BlobProto(num=1, channels=1, height=1, width=1, data=[0]).SerializeToString(), "a mean of 1 channels"),
        (3, b"one\n", "1 labels, and the net has 3 classes"),
        (4, b"junk", "not a picture in a format that OpenCV reads"),
    ],
)
def test_what_does_not_fit_is_told(files, place, content, message, tmp_path, capsys):
    (tmp_path / files[place]).write_bytes(content)
    assert classification.main(files) == 2
    assert message in capsys.readouterr().err


def test_names_of_classes_do_not_reach_the_terminal_as_they_are(files, tmp_path, capsys):
    (tmp_path / "labels.txt").write_bytes(b"\x1b[2J\ngr\xe9en\nred\n")
    assert classification.main(files) == 0
    assert '"\\x1b[2J"' in (out := capsys.readouterr().out)
    assert '"gr\\xe9en"' in out
