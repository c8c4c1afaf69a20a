from pathlib import Path

import numpy as np
import pytest

from engine.data import idx
from engine.data.backends import READERS
from engine.data.datum import parse, pixels
from engine.tools import convert_mnist_siamese_data

DIGITS = Path(__file__).parents[3] / "configs/models/lenet/digits"
IMAGES, LABELS = DIGITS / "t10k-images-idx3-ubyte.gz", DIGITS / "t10k-labels-idx1-ubyte.gz"


def run(*args: object) -> int:
    return convert_mnist_siamese_data.main([str(arg) for arg in args])


@pytest.mark.parametrize(("flags", "backend"), [((), "leveldb"), (("-backend", "lmdb"), "lmdb")])
def test_each_record_is_a_pair_with_whether_it_shows_one_digit(tmp_path, flags, backend):
    assert run(*flags, IMAGES, LABELS, tmp_path / "db") == 0
    known = {picture.tobytes(): label for picture, label in zip(*idx.read_pair(IMAGES, LABELS), strict=True)}
    records = list(READERS[backend](tmp_path / "db").records())
    assert [key for key, _ in records] == [b"%08d" % i for i in range(1000)]
    labels = []
    for _, value in records:
        one, other = pixels(parse(value))
        labels.append(parse(value).label)
        assert labels[-1] == (known[one.tobytes()] == known[other.tobytes()])
    assert 0.05 < np.mean(labels) < 0.2


def test_bad_input(tmp_path, capsys):
    assert run(IMAGES, DIGITS / "train-labels-idx1-ubyte.gz", tmp_path / "db") == 2
    assert "Do they belong together?" in capsys.readouterr().err
    assert run(IMAGES) == 1
    assert list(tmp_path.iterdir()) == []
