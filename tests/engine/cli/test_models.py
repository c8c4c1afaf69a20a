import re
from pathlib import Path

import pytest

from engine.cli import main

CONFIGS = Path(__file__).parents[3] / "configs" / "models"
README = "---\nname: A\ncaffemodel: a.caffemodel\nlicense: \x1b[31m\n---\n"
NET = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'


def write(folder: Path, readme: str) -> str:
    (folder / "README.md").write_text(readme)
    (folder / "deploy.prototxt").write_text(NET)
    return str(folder)


def test_info_shows_keys_and_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, README.replace("\x1b[31m", "BSD"))
    assert main(["models", "info", folder]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name               A",
        "caffemodel         a.caffemodel",
        f"                   not there: caffe models get {folder} fetches it",
        "license            BSD",
        "deploy.prototxt    1 layers, 0 parameters, 0 multiply-adds a picture; x 2×3",
    ]


def test_check_fails_where_something_is_the_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "check", write(tmp_path, README.replace("\x1b[31m", "BSD"))]) == 2
    assert "has no caffemodel_url" in capsys.readouterr().out


def test_get_takes_a_mirror(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mirror").mkdir()
    folder = write(tmp_path, README.replace("\x1b[31m", "BSD"))
    assert main(["models", "get", folder, "-mirror", str(tmp_path / "mirror")]) == 2
    assert "mirror/a.caffemodel: cannot be read" in capsys.readouterr().err
    assert main(["models", "get", folder]) == 2
    assert "has no caffemodel_url" in capsys.readouterr().err


def test_what_a_readme_says_cannot_move_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", write(tmp_path, README)]) == 2
    assert "\x1b" not in "".join(capsys.readouterr())


def test_a_model_that_ships_is_told_of_by_its_name_with_what_makes_it_one_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models", "info", "lenet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0].strip().startswith("ships with hpcbrew, without parameters: hpcbrew new lenet copies it into a folder")
    )
    assert lines[1].split() == ["name", "LeNet"]
    assert any(line.startswith("deploy.prototxt ") and "431,080 parameters" in line for line in lines)


@pytest.mark.parametrize(
    ("asked", "name", "said"),
    [
        (
            "get",
            "resnet50",
            "resnet50: no such folder here. A model of that name ships .*: hpcbrew new resnet50 copies",
        ),
        (
            "info",
            "resnet51",
            "resnet51: no such file or folder; give a model's folder, which has a README.md, .* Did you mean",
        ),
        ("info", "/no/lenet", "/no/lenet: no such file or folder; .* Shipped models: alexnet, "),
    ],
)
def test_a_folder_that_is_not_there_is_told_with_the_models_that_ship(
    asked: str,
    name: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models", asked, name]) == 2
    assert re.search(said, capsys.readouterr().err)
