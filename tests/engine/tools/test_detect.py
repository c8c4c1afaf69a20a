"""detect.py: classes of windows, from and to tables."""

import csv

import caffe
import cv2
import numpy as np
import pytest

from engine.tools import detect

MEANS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" pooling_param { pool: AVE global_pooling: true } }
"""


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """A net that gives the mean of each channel, in a folder with two pictures of one colour each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy.prototxt").write_text(MEANS)
    caffe.Net("deploy.prototxt", caffe.TEST).save("it.caffemodel")
    for i, name in enumerate("ab"):
        cv2.imwrite(f"{name}.png", np.full((20, 16, 3), 50 * (i + 1), np.uint8))
    files = ["--model_def", "deploy.prototxt", "--pretrained_model", "it.caffemodel", "--mean_file", ""]
    return [*files, "--context_pad", "0"]


def test_windows_of_a_table(flags, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("filename,xmin,ymin,xmax,ymax\na.png,0,1,4,5\nb.png,2,0,9,9\na.png,3,3,8.0,8\n")
    assert detect.main(["in.csv", "out.csv", "--crop_mode", "list", *flags]) == 0
    rows = list(csv.reader((tmp_path / "out.csv").open()))
    assert rows[0] == ["filename", "ymin", "xmin", "ymax", "xmax", "class0", "class1", "class2"]
    assert [row[:5] for row in rows[1:]] == [
        ["a.png", "1", "0", "5", "4"],
        ["a.png", "3", "3", "8", "8"],
        ["b.png", "0", "2", "9", "9"],
    ]
    np.testing.assert_allclose([[float(x) for x in row[5:]] for row in rows[1:]], [[50] * 3] * 2 + [[100] * 3], 1e-5)
    assert "Processed 3 windows in" in capsys.readouterr().out


def test_a_picture_of_means_counts_by_channel(flags, tmp_path):
    np.save("mean.npy", np.full((3, 5, 5), 10))
    (tmp_path / "in.csv").write_text("filename,xmin,ymin,xmax,ymax\na.png,0,0,8,8\n")
    assert detect.main(["in.csv", "out.csv", "--crop_mode", "list", *flags, "--mean_file", "mean.npy"]) == 0
    assert float((tmp_path / "out.csv").read_text().split(",")[-1]) == pytest.approx(40, rel=1e-5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("filename,xmin,ymin\n", "in.csv:1: the header has no ymax, xmax"),
        ("filename,xmin,ymin,xmax,ymax\n", "no lines after its header"),
        ("filename,xmin,ymin,xmax,ymax\na.png,1,2,x,4\n", 'in.csv:2: "2,1,4,x": four numbers are needed'),
        ("filename,xmin,ymin,xmax,ymax\na.png,1,2\n", "in.csv:2"),
        (f"filename,{'x' * 200_000}\na.png,1\n", "in.csv:1: field larger than field limit"),
        ("filename,xmin,ymin,xmax,ymax\na.png,1,2,inf,4\n", "in.csv:2"),
        ("filename,xmin,ymin,xmax,ymax\na.png,90,90,99,99\n", "a.png: window [90, 90, 99, 99]"),
        ("filename,xmin,ymin,xmax,ymax\ngone.png,0,0,9,9\n", "gone.png: cannot be read"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(flags, tmp_path, table, message, capsys):
    (tmp_path / "in.csv").write_text(table)
    assert detect.main(["in.csv", "out.csv", "--crop_mode", "list", *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["in.txt", "out.csv", "--crop_mode", "list"], "--crop_mode list needs a .csv"),
        (["in.jpg", "out.csv"], "neither a .txt nor a .csv"),
        (["in.txt", "out.csv"], "selective search needs MATLAB"),
    ],
)
def test_where_windows_come_from(flags, tmp_path, args, message, capsys):
    (tmp_path / "in.txt").write_text("a.png\n\nb.png\n")
    assert detect.main([*args, *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_table_for_pandas(flags, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("filename,xmin,ymin,xmax,ymax\na.png,0,1,4,5\n")
    status = detect.main(["in.csv", "out.h5", "--crop_mode", "list", *flags])
    try:
        import pandas as pd
        import tables  # noqa: F401
    except ModuleNotFoundError:
        assert status == 2
        assert "pip install pandas tables" in capsys.readouterr().err
        return
    assert status == 0
    table = pd.read_hdf("out.h5", "df")
    assert table.loc["a.png", "ymax"] == 5
    assert table["prediction"].iloc[0].size == 3
