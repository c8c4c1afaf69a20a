import numpy as np
import pytest

from engine.data.backends import READERS
from engine.tools import convert_cifar_data
from engine.tools.convert_cifar_data import RECORD, TEST, TRAIN


@pytest.fixture
def batches(tmp_path):
    """CIFAR-10's files, of four pictures each."""
    folder = tmp_path / "in"
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (24, RECORD), np.uint8)
    rows[:, 0] %= 10
    for i, name in enumerate((*TRAIN, *TEST)):
        (folder / name).write_bytes(rows[4 * i : 4 * i + 4].tobytes())
    return folder, rows


def run(*args: object) -> int:
    return convert_cifar_data.main([str(arg) for arg in args])


@pytest.mark.parametrize("backend", READERS)
def test_records_are_those_of_caffe_s_converter(batches, tmp_path, backend, capsys):
    folder, rows = batches
    assert run(folder, tmp_path / "out", backend) == 0
    for part, some in (("train", rows[:20]), ("test", rows[20:])):
        records = list(READERS[backend](tmp_path / "out" / f"cifar10_{part}_{backend}").records())
        assert [key for key, _ in records] == [b"%05d" % i for i in range(len(some))]
        for (_, value), row in zip(records, some, strict=True):
            # channels 3, height 32, width 32, data, label; `encoded` unset
            assert value == b"\x08\x03\x10\x20\x18\x20\x22\x80\x18" + row[1:].tobytes() + b"\x28" + row[:1].tobytes()
    assert [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "Writing Training data",
        *(f"Training Batch {i}" for i in range(1, 6)),
        "Writing Testing data",
    ]


def test_bad_input_makes_no_database(batches, tmp_path, capsys):
    folder, rows = batches
    for name, data, says in (
        ("data_batch_3.bin", b"short", "data_batch_3.bin: 5 bytes; a batch has 3,073 per picture"),
        ("data_batch_2.bin", rows[0].tobytes() + b"\xff" + rows[1, 1:].tobytes(), "record 1 has label 255"),
        ("data_batch_1.bin", None, "data_batch_1.bin: cannot be read: No such file"),
    ):
        (folder / name).unlink() if data is None else (folder / name).write_bytes(data)
        assert run(folder, tmp_path / "out", "lmdb") == 2
        assert says in capsys.readouterr().err
        assert list((tmp_path / "out").iterdir()) == []
    assert run(tmp_path / "gone", tmp_path / "out", "lmdb") == 2
    assert run() == 1
    assert run(folder, tmp_path / "out", "mdb") == 2
