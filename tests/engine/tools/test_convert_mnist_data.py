import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.data import idx
from engine.data.lmdb_reader import LMDB
from engine.tools import convert_mnist_data

DIGITS = Path(__file__).parents[3] / "configs/models/lenet/digits"
IMAGES, LABELS = DIGITS / "t10k-images-idx3-ubyte.gz", DIGITS / "t10k-labels-idx1-ubyte.gz"


def run(*args: object) -> int:
    return convert_mnist_data.main([str(a) for a in args])


@pytest.mark.parametrize("flags", [[], ["-backend=lmdb"], ["--backend", "lmdb"]], ids=" ".join)
def test_records_are_those_of_caffe_s_converter(tmp_path, flags):
    db = tmp_path / "mnist_test_lmdb"
    assert run(*flags, IMAGES, LABELS, db) == 0
    images, labels = idx.read_images(IMAGES), idx.read_labels(LABELS)
    records = list(LMDB(db).records())
    assert [key for key, _ in records] == [b"%08d" % i for i in range(1000)]
    for (_, value), image, label in zip(records, images, labels, strict=True):
        # channels 1, height 28, width 28, data, label; `encoded` unset
        assert value == b"\x08\x01\x10\x1c\x18\x1c\x22\x90\x06" + image.tobytes() + b"\x28" + bytes([label])


def test_the_log_says_what_was_converted(tmp_path, capsys):
    run(IMAGES, LABELS, tmp_path / "db")
    said = capsys.readouterr().err
    assert [line.split("] ")[1] for line in said.splitlines()] == [
        "A total of 1000 items.",
        "Rows: 28 Cols: 28",
        "Processed 1000 files.",
    ]


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (LABELS, LABELS, "not an idx file of pictures"),
        (IMAGES, IMAGES, "not an idx file of labels"),
        (IMAGES, DIGITS / "train-labels-idx1-ubyte.gz", "1,000 pictures and .* 5,000 labels"),
        (DIGITS / "gone", LABELS, "gone: cannot be read"),
    ],
)
def test_bad_input_is_said_and_nothing_is_left(tmp_path, capsys, images, labels, says):
    assert run(images, labels, tmp_path / "db") == 2
    said = capsys.readouterr().err
    assert said.startswith("convert_mnist_data: error: ")
    assert re.search(says, said)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_database_stays(tmp_path, capsys):
    db = tmp_path / "db"
    assert run(IMAGES, LABELS, db) == 0
    before = (db / "data.mdb").read_bytes()
    assert run(DIGITS / "train-images-idx3-ubyte.gz", DIGITS / "train-labels-idx1-ubyte.gz", db) == 2
    assert "db: is there already" in capsys.readouterr().err
    assert (db / "data.mdb").read_bytes() == before


def test_the_tool_starts_without_jax():
    script = "import sys, engine.tools.convert_mnist_data; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_shipped_digits_hold_every_class_evenly():
    for part, count in (("train", 5000), ("t10k", 1000)):
        assert idx.read_images(DIGITS / f"{part}-images-idx3-ubyte.gz").shape == (count, 28, 28)
        classes = np.bincount(idx.read_labels(DIGITS / f"{part}-labels-idx1-ubyte.gz")) / count
        assert len(classes) == 10
        assert np.all((classes > 0.08) & (classes < 0.13))
