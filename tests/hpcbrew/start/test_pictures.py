from pathlib import Path

import cv2
import numpy as np
import pytest

from hpcbrew.errors import RequestError
from hpcbrew.start import pictures


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Ten pictures of cats, of 20×30, and ten of dogs."""
    for kind in ("dog", "cat"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number in range(10):
            cv2.imwrite(str(tmp_path / "pets" / kind / f"{number}.png"), np.zeros((20, 30, 3), np.uint8))
    return tmp_path / "pets"


def test_sub_folders_are_the_classes_in_the_order_of_their_names(pets: Path) -> None:
    found = pictures.of_folder(pets)
    assert (found.classes, found.height, found.width, found.alike) == (("cat", "dog"), 20, 30, True)
    assert set(found.names) == {(f"{kind}/{n}.png", k) for k, kind in enumerate(("cat", "dog")) for n in range(10)}
    assert not found.left_out


def test_what_is_no_picture_is_left_out_and_told(pets: Path) -> None:
    (pets / "cat" / "notes.txt").write_text("of cats")
    (pets / "cat" / "broken.jpg").write_text("<html>")
    (pets / "cat" / "two\nlines.png").write_bytes((pets / "cat" / "0.png").read_bytes())
    (pets / "empty").mkdir()
    found = pictures.of_folder(pets)
    assert (len(found.names), found.classes) == (20, ("cat", "dog"))
    assert [name.partition(":")[0] for name in found.left_out] == [
        "cat/notes.txt",
        "cat/two\nlines.png",
        "cat/broken.jpg",
    ]


def test_deeper_folders_are_of_their_class(pets: Path) -> None:
    (pets / "cat" / "black").mkdir()
    (pets / "cat" / "black" / "a.png").write_bytes((pets / "cat" / "0.png").read_bytes())
    assert ("cat/black/a.png", 0) in pictures.of_folder(pets).names


def test_one_class_is_none(pets: Path) -> None:
    with pytest.raises(RequestError, match=r"each class must be a sub-folder .*; there is none. Or give a list"):
        pictures.of_folder(pets / "cat")


def test_a_class_all_of_which_is_broken_is_told(pets: Path) -> None:
    for path in (pets / "dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(RequestError, match=r"class 'dog' has no usable picture: dog/0\.png: is empty"):
        pictures.of_folder(pets)


def test_a_list_has_names_from_its_own_folder(pets: Path) -> None:
    (pets / "all.txt").write_text("cat/0.png 0\ndog/1.png 1\n")
    found = pictures.of_list(pets / "all.txt")
    assert (found.root, found.classes, found.names) == (pets, ("0", "1"), (("cat/0.png", 0), ("dog/1.png", 1)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat/0.png\n", "has no labels"),
        ("cat/0.png 1\ndog/0.png 2\n", "no picture of class 0"),
        ("cat/0.png -1\ndog/0.png 1\n", "all.txt:1: label -1"),
        ("cat/0.png 0\ndog/0.png 1\ncat/0.png 1\n", "all.txt:3: cat/0.png has label 1 here but 0 before"),
    ],
)
def test_a_list_that_will_not_do_is_refused(pets: Path, text: str, said: str) -> None:
    (pets / "all.txt").write_text(text)
    with pytest.raises(RequestError, match=said):
        pictures.of_list(pets / "all.txt")


def test_the_same_seed_draws_the_same_lots(pets: Path) -> None:
    found = pictures.of_folder(pets)
    division = pictures.divide(found, 0)
    assert division == pictures.divide(found, 0) != pictures.divide(found, 1)
    parts = (division.train, division.val, division.test)
    assert sorted(name for part in parts for name in part) == sorted(found.names)
    assert [[label for _, label in part].count(0) for part in parts] == [6, 2, 2]


def test_too_few_pictures_are_refused(pets: Path) -> None:
    for path in [*pets.glob("*/[2-9].png")]:
        path.unlink()
    with pytest.raises(RequestError, match="no class has the three pictures"):
        pictures.divide(pictures.of_folder(pets), 0)
