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
