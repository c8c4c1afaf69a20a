"""classify.py: classes of pictures, from files, folders and arrays."""

import caffe
import cv2
import numpy as np
import pytest

from engine.tools import classify

MEANS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" pooling_param { pool: AVE global_pooling: true } }
"""


@pytest.fixture
def flags(tmp_path):
    """A net that gives the mean of each channel, with the flags that take pictures as they are."""
    (tmp_path / "deploy.prototxt").write_text(MEANS)
    caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST).save(str(tmp_path / "it.caffemodel"))
    files = ["--model_def", str(tmp_path / "deploy.prototxt"), "--pretrained_model", str(tmp_path / "it.caffemodel")]
    return [*files, "--mean_file", "", "--images_dim", "6,6"]


@pytest.fixture
def picture(tmp_path):
    """Orange: red 200, green 100, blue 0."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((6, 6, 3), (0, 100, 200), np.uint8))
    return str(tmp_path / "a.png")


def test_a_picture_is_told_in_caffes_order_of_channels(flags, picture, tmp_path, capsys):
    assert classify.main([picture, str(tmp_path / "out.npy"), *flags]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), [[0, 100, 200]], rtol=1e-5)
    assert "CPU mode" in (out := capsys.readouterr().out)
    assert "Classifying 1 inputs." in out


def test_the_name_of_the_result_gets_its_ending(flags, picture, tmp_path):
    assert classify.main([picture, str(tmp_path / "out"), "--center_only", *flags]) == 0
    assert (tmp_path / "out.npy").exists()


def test_a_folder_is_told_in_the_order_of_names(flags, picture, tmp_path):
    cv2.imwrite(str(tmp_path / "b.png"), np.full((9, 5, 3), 7, np.uint8))
    assert classify.main([str(tmp_path), str(tmp_path / "out.npy"), "--ext", "png", *flags]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), [[0, 100, 200], [7, 7, 7]], rtol=1e-5)


def test_an_array_of_pictures(flags, tmp_path):
    np.save(tmp_path / "in.npy", np.ones((3, 6, 6, 3), np.float32))
    more = ["--raw_scale", "2", "--channel_swap", "", "--input_scale", "0.5"]
    assert classify.main([str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), *flags, *more]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), np.ones((3, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--model_def", "gone.prototxt"], "gone.prototxt: no such file; name yours with --model_def FILE"),
        (["--mean_file", "gone.npy"], "With --mean_file '' no mean is subtracted"),
        (["--ext", "gif"], "contains no *.gif file"),
        (["--images_dim", "2,2"], "image_dims [2, 2]"),
    ],
)
def test_what_is_not_there_is_told(flags, picture, tmp_path, change, message, capsys):
    assert classify.main([str(tmp_path), str(tmp_path / "out.npy"), "--ext", "png", *flags, *change]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize(("data", "message"), [(b"", "cannot be read as .npy"), (b"x" * 99, "cannot be read as .npy")])
def test_what_is_no_array_is_told(flags, tmp_path, data, message, capsys):
    (tmp_path / "in.npy").write_bytes(data)
    assert classify.main([str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), *flags]) == 2
    assert message in capsys.readouterr().err


def test_the_folder_of_the_result_is_looked_for_first(flags, picture, capsys):
    assert classify.main([picture, "/nowhere/out.npy", *flags]) == 2
    assert "its folder is not there" in capsys.readouterr().err


def test_the_home_of_somebody_who_has_none_is_told(flags, tmp_path, capsys):
    assert classify.main(["~nobody-of-this-name/a.png", str(tmp_path / "out.npy"), *flags]) != 0
    assert "~nobody-of-this-name/a.png" in capsys.readouterr().err
