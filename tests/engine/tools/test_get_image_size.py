import cv2
import numpy as np
import pytest

from engine.tools import get_image_size


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Pictures of 4×6 and 5×7 in folders, listed with files of boxes that nobody reads."""
    monkeypatch.chdir(tmp_path)
    for name, size in (("a/one.png", (4, 6, 3)), ("b/two.v2.png", (5, 7))):
        (tmp_path / name).parent.mkdir()
        cv2.imwrite(name, np.zeros(size, np.uint8))
    (tmp_path / "list").write_text("a/one.png a/one.xml\nb/two.v2.png b/two.xml\n")
    return tmp_path


def run(*flags):
    return get_image_size.main([*flags, "./", "list", "sizes"])


def test_names_are_told_without_folder_and_ending(listed):
    assert run() == 0
    assert (listed / "sizes").read_text() == "one 4 6\ntwo.v2 5 7\n"


def test_pictures_can_have_numbers(listed):
    (listed / "ids").write_text("two.v2 9\none -3\n")
    assert run("-name_id_file", "ids") == 0
    assert (listed / "sizes").read_text() == "-3 4 6\n9 5 7\n"


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ("one 1\n", "has 1 names, but list has 2 pictures"),
        ("one 1\nthree 2\n", "list:2: b/two.v2.png: ids has no number for two.v2"),
        ("one 1\none 2\n", "ids:2: one is given twice"),
        ("one\n", "ids:1: must be a name and a number"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(listed, capsys, ids, said):
    (listed / "ids").write_text(ids)
    assert run("-name_id_file", "ids") == 2
    assert said in capsys.readouterr().err
    assert not (listed / "sizes").exists()


def test_a_picture_that_is_not_there_leaves_nothing_written(listed, capsys):
    (listed / "b/two.v2.png").unlink()
    assert run() == 2
    assert "list:2: b/two.v2.png: cannot be read" in capsys.readouterr().err
    assert not (listed / "sizes").exists()
