"""`hpcbrew data`: looking into databases."""

import json

import cv2
import numpy as np
import pytest

from engine.data import datum
from engine.data.lmdb_writer import LMDBWriter


@pytest.fixture
def database(tmp_path):
    """Six pictures of two labels, and a record that is none."""
    with LMDBWriter(tmp_path / "db") as db:
        for i in range(6):
            db.put(b"%08d" % i, datum.raw(np.full((1, 4, 4), 10 * i, np.uint8), i % 2).SerializeToString())
        db.put(b"00000006\x1b", b"\xff\xff")
    return tmp_path / "db"


def test_info_says_what_is_there_and_draws_it(hpcbrew, database, tmp_path):
    done = hpcbrew("data", "info", database, "--sheet", tmp_path / "a.png")
    for said in ("7, 1", "1; `hpcbrew data check` names them", "6 of 1×4×4", "6 raw", "25", "2, from 0 to 1; 3 to 3"):
        assert said in done.stdout
    assert cv2.imread(str(tmp_path / "a.png")).shape[2] == 3


def test_a_sheet_that_is_not_called_a_png_is_refused(hpcbrew, database, tmp_path):
    done = hpcbrew("data", "info", database, "--sheet", tmp_path / "a.jpg")
    assert (done.returncode, f"name it {tmp_path / 'a.png'}" in done.stderr) == (2, True)
    assert not (tmp_path / "a.jpg").exists()


def test_info_for_programs(hpcbrew, database):
    found = json.loads(hpcbrew("data", "info", database, "--json").stdout)
    assert (found["records"], found["broken"], found["labels"]) == (7, 1, {"0": 3, "1": 3})
    assert found["shapes"] == [{"shape": [1, 4, 4], "records": 6}]


def test_check_names_what_is_broken(hpcbrew, database):
    done = hpcbrew("data", "check", database)
    assert done.returncode == 2
    assert 'record "00000006\\x1b": not a Datum record' in done.stdout
    assert "7 records, 1 of them broken" in done.stdout


def test_what_is_no_database_is_told(hpcbrew, tmp_path):
    done = hpcbrew("data", "check", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere: no such folder" in done.stderr
