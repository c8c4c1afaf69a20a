import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.data.backends import READERS, WRITERS
from engine.data.datum import parse, pixels
from engine.data.lmdb_reader import LMDB
from engine.tools import convert_imageset

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def run(*args: object) -> int:
    return convert_imageset.main([str(arg) for arg in args])


def records(path: Path, backend: str = "lmdb") -> list[tuple[bytes, bytes]]:
    database = READERS[backend](path)
    try:
        return list(database.records())
    finally:
        database.close()


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A list of seven pictures of 6×8, in a folder of their own; the i-th is all i, and its label is i."""
    (tmp_path / "pictures").mkdir()
    for i in range(7):
        cv2.imwrite(str(tmp_path / "pictures" / f"{i}.png"), np.full((6, 8, 3), i, np.uint8))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(7)))
    return tmp_path


def convert(folder: Path, *flags: str, name: str = "db") -> int:
    return run(*flags, f"{folder}/pictures/", folder / "list.txt", folder / name)


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("-resize_height 32 -resize_width 32", "raw_lmdb"),
        ("-gray --resize_height=28 --resize_width=28", "gray_lmdb"),
        ("-encoded -encode_type png -resize_height 30 -resize_width 36", "encoded_lmdb"),
        ("-backend leveldb -resize_height 32 -resize_width 32", "raw_leveldb"),
    ],
)
def test_records_are_those_of_caffe_s_own_tool_byte_for_byte(tmp_path, flags, name):
    assert run(*flags.split(), f"{GOLDEN}/", GOLDEN / "list.txt", tmp_path / "db") == 0
    backend = name.rpartition("_")[2]
    ours, caffe_s = records(tmp_path / "db", backend), records(GOLDEN / name, backend)
    assert [key for key, _ in ours] == [key for key, _ in caffe_s]
    for (key, value), (_, want) in zip(ours, caffe_s, strict=True):
        if name == "raw_lmdb" or key.endswith(b".png"):  # other JPEG libraries may round otherwise
            assert np.abs(pixels(parse(value)).astype(int) - pixels(parse(want))).max() <= 3 * (b".jpg" in key)
        assert parse(value).label == parse(want).label
        assert parse(value).HasField("encoded")


def test_the_log_has_caffe_s_lines(pictures, capsys):
    convert(pictures, "-shuffle", "-encode_type", "png")
    said = [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "Shuffling data",
        "A total of 7 images.",
        "encode_type specified, assuming encoded=true.",
        "Processed 7 files.",
    ]


def test_a_shuffled_list_is_shuffled_alike_again(pictures):
    convert(pictures, "-shuffle")
    convert(pictures, "-shuffle", name="again")
    first = records(pictures / "db")
    assert first == records(pictures / "again")
    labels = [parse(value).label for _, value in first]
    assert sorted(labels) == list(range(7)) != labels
    assert [key for key, _ in first] == [b"%08d_%d.png" % pair for pair in enumerate(labels)]


def test_encoded_pictures_are_their_files_where_that_will_do(pictures):
    (pictures / "pictures" / "6.png").rename(pictures / "pictures" / "6.PNG")
    (pictures / "list.txt").write_text("0.png 0\n6.PNG 6\n")
    convert(pictures, "-encoded")
    assert [parse(value).data for _, value in records(pictures / "db")] == [
        (pictures / "pictures" / name).read_bytes() for name in ("0.png", "6.PNG")
    ]
    convert(pictures, "-encoded", "-encode_type=jpg", name="jpg")
    assert all(parse(value).data.startswith(b"\xff\xd8") for _, value in records(pictures / "jpg"))


def test_pictures_that_cannot_be_read_are_told_and_left_out(pictures, capsys):
    folder = pictures / "pictures"
    (folder / "1.png").unlink()
    (folder / "3.png").write_bytes(b"no picture")
    (folder / "5.png").unlink()
    os.mkfifo(folder / "5.png")
    assert convert(pictures) == 0
    assert [key for key, _ in records(pictures / "db")] == [b"%08d_%d.png" % (i, i) for i in (0, 2, 4, 6)]
    said = capsys.readouterr().err
    assert re.search(rf"E\d{{4}} .*\] Could not open or find file {folder}/1.png\n", said)
    assert f"Could not open or find file {folder}/3.png: holds 10 bytes that are not a picture" in said
    assert f"Could not open or find file {folder}/5.png: is a pipe" in said
    assert "Processed 4 files." in said
    assert "3 of 7 pictures could not be read" in said


def test_sizes_are_checked_where_that_is_asked_for(pictures, capsys):
    cv2.imwrite(str(pictures / "pictures" / "4.png"), np.zeros((8, 6, 3), np.uint8))
    assert convert(pictures) == 0
    assert convert(pictures, "-check_size", name="checked") == 2
    said = capsys.readouterr().err
    assert "list.txt:5: 4.png: Incorrect data field size 144: it is 3×8×6" in said
    assert "list.txt:1: 0.png, the first, is 3×6×8" in said
    assert not (pictures / "checked").exists()
    assert convert(pictures, "-check_size", "-resize_height=5", "-resize_width=5", name="checked") == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "lists no pictures"),
        (b"a\0.png 0\n", "not a text file"),
        (b"x.png 0\n", "pictures/x.png. ROOTFOLDER is prepended to the names unchanged.\n"),
    ],
)
def test_bad_lists_make_no_database(pictures, capsys, text, says):
    (pictures / "list.txt").write_bytes(text)
    assert convert(pictures) == 2
    assert says in capsys.readouterr().err
    assert sorted(path.name for path in pictures.iterdir()) == ["list.txt", "pictures"]


def test_a_root_folder_that_runs_into_the_names_is_seen(pictures, capsys):
    (pictures / "list.txt").write_text("0.png 0\n")
    assert run(pictures / "pictures", pictures / "list.txt", pictures / "db") == 2
    assert re.search(r"such as \S+/pictures0.png. .* should '\S+/pictures' end with a /\?\n", capsys.readouterr().err)


def test_other_bad_input(pictures, capsys):
    for args, says in (
        ((f"{pictures}/gone/", pictures / "list.txt", pictures / "db"), "gone/: no such folder"),
        ((f"{pictures}/pictures/", pictures / "gone.txt", pictures / "db"), "gone.txt: cannot be read: No such file"),
        ((f"{pictures}/pictures/", pictures / "list.txt", pictures / "no" / "db"), "cannot be written: No such file"),
        (("-encode_type", "gig", f"{pictures}/pictures/", pictures / "list.txt", pictures / "db"), "cannot write it"),
        (("-backend", "mdb", "a", "b", "c"), "'mdb' is not one of 'lmdb', 'leveldb'"),
    ):
        assert run(*args) == 2
        assert says in capsys.readouterr().err
    assert run() == 1
    assert "Usage: convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME" in capsys.readouterr().err


@pytest.mark.parametrize("backend", WRITERS)
def test_an_existing_database_stays(pictures, backend, capsys):
    assert convert(pictures, "-backend", backend) == 0
    before = records(pictures / "db", backend)
    assert convert(pictures, "-gray", "-backend", backend) == 2
    assert "db: is there already" in capsys.readouterr().err
    assert records(pictures / "db", backend) == before


def test_a_name_that_is_too_long_for_a_key(pictures, capsys):
    deep = "/".join(["x" * 200] * 3)
    (pictures / "pictures" / deep).parent.mkdir(parents=True)
    (pictures / "pictures" / "0.png").rename(pictures / "pictures" / deep)
    (pictures / "list.txt").write_text(f"{deep} 0\n")
    assert convert(pictures) == 2
    assert "a key has 611 bytes" in capsys.readouterr().err
    assert convert(pictures, "-backend=leveldb") == 0


def test_what_was_killed_goes_on_where_it_was(pictures):
    """The second commit, of 32 MB each, has begun when it is killed."""
    (pictures / "list.txt").write_text("".join(f"{i % 7}.png {i}\n" for i in range(300)))
    flags = ["-resize_height", "400", "-resize_width", "500"]
    args = [*flags, f"{pictures}/pictures/", str(pictures / "list.txt")]
    command = [sys.executable, "-m", convert_imageset.__name__, *args, str(pictures / "db")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while process.poll() is None and not _size(pictures / ".db.partial" / "data.mdb") > 1 << 26:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (pictures / "db").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Continuing after line" in done.stderr
    assert "Processed 300 files." in done.stderr
    assert run(*args, pictures / "straight") == 0
    assert records(pictures / "db") == records(pictures / "straight")
    assert LMDB(pictures / "db").entries == 300
    assert sorted(path.name for path in pictures.iterdir()) == ["db", "list.txt", "pictures", "straight"]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_it_starts_without_jax():
    script = "import sys, engine.tools.convert_imageset; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
