import os
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Five bright pictures and five dark ones, of 8×8."""
    for kind, value in (("bright", 200), ("dark", 20)):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number in range(5):
            cv2.imwrite(str(tmp_path / "pets" / kind / f"{number}.png"), np.full((8, 8, 3), value + number, np.uint8))
    return tmp_path / "pets"


def test_a_folder_of_pictures_is_trained_from_as_it_says(hpcbrew, pets: Path, tmp_path: Path) -> None:
    made = hpcbrew("new", "pets")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("pets-net: 10 pictures of 2 classes: 6 for training (train.txt), 2 for validation")
    command = next(line.split() for line in made.stdout.splitlines() if line.startswith("  hpcbrew submit"))
    trained = hpcbrew(*command[1:], "--set", "max_iter=2")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "accuracy" in trained.stdout


def test_a_list_will_do(hpcbrew, pets: Path, tmp_path: Path) -> None:
    names = sorted(path.relative_to(tmp_path) for path in pets.glob("*/*.png"))
    (tmp_path / "all.txt").write_text("".join(f"{name} {int('dark' in str(name))}\n" for name in names))
    made = hpcbrew("new", "all.txt", "mine", "--side", 16)
    assert made.returncode == 0, made.stderr
    assert "stretched to 16×16" in made.stdout
    assert (tmp_path / "mine" / "classes.txt").read_text() == "0\n1\n"


def test_a_model_that_ships_is_copied(hpcbrew, tmp_path: Path) -> None:
    made = hpcbrew("new", "lenet", "mine")
    assert made.returncode == 0, made.stderr
    assert "  hpcbrew submit mine/solver.prototxt --cluster local --follow" in made.stdout.splitlines()
    assert "Before it can train: mine/train_val.prototxt" in made.stdout


def test_a_model_s_name_means_it_beside_a_folder_of_that_name(hpcbrew, pets: Path, tmp_path: Path) -> None:
    """As `hpcbrew fetch lenet` makes one."""
    pets.rename(tmp_path / "lenet")
    assert hpcbrew("new", "lenet", "mine").stdout.startswith("mine: README.md, deploy.prototxt")
    assert hpcbrew("new", "./lenet").stdout.startswith("lenet-net: 10 pictures of 2 classes")


def test_a_recipe_is_copied_and_its_script_named(hpcbrew, tmp_path: Path) -> None:
    made = hpcbrew("new", "net_surgery", "surgery")
    assert made.stdout.splitlines()[-1] == "  surgery/run"
    assert os.access(tmp_path / "surgery/run", os.X_OK)


def test_what_is_not_there_is_told_with_the_models(hpcbrew) -> None:
    done = hpcbrew("new", "lenett")
    assert (done.returncode, "Did you mean 'lenet'" in done.stderr) == (2, True)


def test_the_help_names_the_models(hpcbrew) -> None:
    told = " ".join(hpcbrew("new", "--help").stdout.split())
    assert all(name in told for name in ("Models:", "caffenet", "resnet50", "vgg16"))


def test_a_copied_model_needs_no_more_than_its_data(hpcbrew, tmp_path: Path) -> None:
    made = hpcbrew("new", "ResNet-50", "mine")
    assert (made.returncode, "Did you mean 'resnet50'" in made.stderr) == (2, True)
    made = hpcbrew("new", "resnet50", "mine")
    assert made.stdout.startswith("mine: README.md, deploy.prototxt, solver.prototxt, train_val.prototxt")
    assert "no LMDB at ilsvrc12_train_lmdb" in " ".join(made.stdout.split())
