"""A database is looked into at some places before its job is sent."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.errors import ManifestError
from hpcbrew.plan import sampled_records

Values = Iterable[bytes]


def database(folder: Path, values: Values) -> Path:
    with lmdb.open(str(folder), map_size=2**26) as db, db.begin(write=True) as txn:
        for i, value in enumerate(values):
            txn.put(f"{i:08}".encode(), value)
    return folder


def raw(label: int, side: int = 4) -> bytes:
    return pb.Datum(channels=1, height=side, width=side, data=bytes(side * side), label=label).SerializeToString()


def encoded(height: int, width: int) -> bytes:
    picture = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes()
    return pb.Datum(encoded=True, data=picture, label=1).SerializeToString()


def look(folder: Path, layer: str = "data_param { batch_size: 2 backend: LMDB }") -> dict[int, str]:
    config = text.parse(f'layer {{ name: "in" type: "Data" {layer} }}', pb.NetParameter).layer[0]
    return sampled_records.look(folder, config, "net:1: source")


def test_every_label_is_found_in_a_large_database_though_few_records_are_read(tmp_path: Path) -> None:
    folder = database(tmp_path / "db", (raw(i // 1000) for i in range(20_000)))
    found = look(folder)
    assert set(found) == set(range(20))
    assert found[0] == f'record "00000000" of {folder}'
    with lmdb.open(str(folder), map_size=2**26) as db, db.begin(write=True) as txn:
        txn.put(b"00019999", raw(99))
    assert look(folder)[99] == f'record "00019999" of {folder}'


def test_of_large_records_few_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_records, "MOST_BYTES", 20)
    assert len(look(database(tmp_path / "db", map(raw, range(50))))) == 1


@pytest.mark.parametrize(
    ("values", "layer", "said"),
    [
        (
            [raw(0), pb.Datum(channels=1, height=4, width=4, data=bytes(15)).SerializeToString()],
            "",
            'record "00000001" of .* says 1×4×4 .channels × height × width. and holds 15 values',
        ),
        ([pb.Datum(channels=1, height=-4, width=-4, float_data=[1] * 16).SerializeToString()], "", "says 1×-4×-4"),
        (
            [raw(0), raw(0, 5)],
            "",
            r'"00000001" of .*/db is 5×5 and record "00000000" of .*/db is 4×4, .*.*-resize_height',
        ),
        ([raw(0)], "crop_size: 5", "is 4×4, smaller than crop_size 5. Make the database again"),
        ([encoded(8, 6)], "crop_size: 7", "is 8×6, smaller than crop_size 7"),
        ([b"\xff\xff"], "", 'net:1: source: record "00000000" of .*/db is not a Datum.* hpcbrew data check .*/db'),
        ([pb.AnnotatedDatum(datum=pb.Datum(label=1)).SerializeToString()], "", "the AnnotatedData layer reads these"),
        (
            [pb.Datum(encoded=True, data=b"GI").SerializeToString()],
            "",
            "is not a picture in a format that OpenCV reads",
        ),
    ],
    ids=[
        "too few values",
        "negative size",
        "two sizes",
        "raw, cropped",
        "encoded, cropped",
        "not a Datum",
        "with boxes",
        "no picture",
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, values: Values, layer: str, said: str) -> None:
    folder = database(tmp_path / "db", values)
    with pytest.raises(ManifestError, match=said):
        look(folder, f"data_param {{ batch_size: 2 backend: LMDB }} transform_param {{ {layer} }}")


def test_pictures_of_any_size_are_cropped_or_come_one_by_one(tmp_path: Path) -> None:
    folder = database(tmp_path / "db", [raw(0, 4), raw(1, 5)])
    assert set(look(folder, "data_param { batch_size: 2 backend: LMDB } transform_param { crop_size: 3 }")) == {0, 1}
    assert set(look(folder, "data_param { batch_size: 1 backend: LMDB }")) == {0, 1}


def test_a_damaged_database_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "data.mdb").write_bytes(b"x" * 5000)
    with pytest.raises(ManifestError, match=r"^net:1: source: .*/db"):
        look(tmp_path / "db")
