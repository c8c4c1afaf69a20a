import subprocess
import sys

import numpy as np
import pytest

from engine.data.picture_list import PictureList
from engine.errors import DataError


def listed(tmp_path, text):
    (tmp_path / "list.txt").write_bytes(text)
    return PictureList(tmp_path / "list.txt")


def test_names_and_labels_with_the_numbers_of_their_lines(tmp_path):
    pictures = listed(tmp_path, b"a b.png 3\n\n  c.png  -1\r\nd.png 7")
    assert list(pictures) == pictures[:] == [("a b.png", 3), ("c.png", -1), ("d.png", 7)]
    assert pictures[-1] == ("d.png", 7)
    assert [pictures.line(i) for i in range(len(pictures))] == [1, 3, 4]


def test_a_list_without_labels_gives_each_picture_0(tmp_path):
    assert list(listed(tmp_path, b"a.png\n\nb\t1.png\n")) == [("a.png", 0), ("b\t1.png", 0)]


def test_lines_that_end_in_several_numbers(tmp_path):
    (tmp_path / "list.txt").write_text("a b.png 1 0 2.5\n\nc.png\t-1e3 7 .5\n")
    pictures = PictureList(tmp_path / "list.txt", 3)
    assert [name for name, _ in pictures] == ["a b.png", "c.png"]
    assert pictures.labels([1, 0, 1]).tolist() == [[-1000, 7, 0.5], [1, 0, 2.5], [-1000, 7, 0.5]]
    assert pictures.labels([1]).dtype == np.float32


def test_one_number_that_is_a_fraction(tmp_path):
    (tmp_path / "list.txt").write_text("a.png 0.25\nb.png 4\n")
    assert PictureList(tmp_path / "list.txt", 1).labels([0, 1]).tolist() == [0.25, 4]


@pytest.mark.parametrize("line", ["b.png 1", "b.png", "1 2", "b.png 1 nan", "b.png 1 x", "b.png inf 1", "b.png 1 1e39"])
def test_a_line_that_does_not_end_in_so_many_numbers_is_named(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"a.png 1 2\n{line}\n")
    with pytest.raises(DataError, match=f'list.txt:2: "{line}" is not a file name and 2 .num_labels. finite numbers'):
        PictureList(tmp_path / "list.txt", 2)


def test_a_million_lines_are_no_million_objects(tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"pictures/{i:08}.jpg {i % 1000}\n" for i in range(1_000_000)))
    code = f"""
import resource
from pathlib import Path
from engine.data.picture_list import PictureList
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pictures = PictureList(Path({str(tmp_path / "list.txt")!r}))
assert pictures[999_999] == ("pictures/00999999.jpg", 999)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 120_000  # kB; the text has 26 MB, the index 20 MB


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lists no pictures"),
        ("\n\n", "lists no pictures"),
        ("a.png 1\nb.png\n", 'list.txt:2: "b.png" is not'),
        ("a.png one\n", 'list.txt:1: "a.png one" is not'),
        ("7\n", 'list.txt:1: "7" is not'),
        ("b.png\na.png 1\n", 'list.txt:1: "b.png" is not'),
        (f"a.png {10**400}\n", "list.txt:1: .* is not"),
        ("a.png 2147483648\n", "list.txt:1: .* is not"),
    ],
)
def test_a_bad_list_names_its_line(tmp_path, text, says):
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        PictureList(path)


def test_a_list_that_is_no_text_or_not_there(tmp_path):
    with pytest.raises(DataError, match="gone: cannot be read"):
        PictureList(tmp_path / "gone")
    (tmp_path / "jpeg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    with pytest.raises(DataError, match="jpeg: not a text file"):
        PictureList(tmp_path / "jpeg")
