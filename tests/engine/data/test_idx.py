import gzip

import numpy as np
import pytest

from engine.data import idx
from engine.errors import DataError

IMAGES = bytes.fromhex("00000803 00000002 00000002 00000003") + bytes(range(12))
LABELS = bytes.fromhex("00000801 00000002") + bytes([7, 3])


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_pictures_and_labels_come_out_in_shape(tmp_path, pack):
    (tmp_path / "images").write_bytes(pack(IMAGES))
    (tmp_path / "labels").write_bytes(pack(LABELS))
    assert np.array_equal(idx.read_images(tmp_path / "images"), np.arange(12).reshape(2, 2, 3))
    assert idx.read_labels(tmp_path / "labels").tolist() == [7, 3]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"\0\0", "begins with"),
        (b"GIF89a" * 9, "a file that begins with b'GIF8'"),
        (LABELS, r"it is one of labels \(magic 2049\)"),
        (IMAGES[:10], "10 bytes where a header takes 16"),
        (IMAGES[:-1], "27 bytes where its header counts 28"),
        (IMAGES + b"x", "29 bytes where its header counts 28"),
        (bytes.fromhex("00000803 ffffffff ffffffff ffffffff"), "16 bytes where its header counts 79,"),
        (bytes.fromhex("00000803 00000000 00000002 00000003"), "holds nothing"),
        (gzip.compress(IMAGES, mtime=0)[:-9], "damaged gzip"),
        (gzip.compress(IMAGES, mtime=0)[:-4] + b"oops", "damaged gzip"),
        (b"\x1f\x8bnot really", "damaged gzip"),
    ],
)
def test_what_is_no_file_of_pictures_is_an_error(tmp_path, data, says):
    path = tmp_path / "train-images"
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"train-images: .*{says}"):
        idx.read_images(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="labels: cannot be read: No such file"):
        idx.read_labels(tmp_path / "labels")


def test_a_small_file_that_unpacks_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "LARGEST", 1000)
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(100_000)))
    with pytest.raises(DataError, match="bomb: more than 1,000 bytes"):
        idx.read_images(tmp_path / "bomb")
