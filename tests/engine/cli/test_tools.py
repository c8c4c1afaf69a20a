"""caffe NAME: a tool's arguments go through as they are, and so does its status; each is there by its own name, too."""

import tomllib
from pathlib import Path

import pytest

from engine.cli import caffe, main
from engine.cli.tools import SHORT, TOOLS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["convert_mnist", "convert_mnist_data"])
def test_it_is_the_tool(name, tmp_path, capsys):
    gone = [str(tmp_path / name) for name in ("images", "labels", "db")]
    assert main([name, "-backend=lmdb", *gone]) == 2
    assert f"convert_mnist_data: error: {gone[0]}: " in capsys.readouterr().err


@pytest.mark.parametrize("name", TOOLS)
def test_each_shows_its_usage_without_arguments_and_when_asked(name, capsys):
    assert main([name]) == 1
    assert f"Usage: {name} [FLAGS]" in capsys.readouterr().err
    assert main([name, "-help"]) == 0
    assert f"Usage: {name} [FLAGS]" in capsys.readouterr().out


def test_each_is_a_program_of_its_own_and_a_command():
    programs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name in TOOLS:
        assert programs[name] == "engine.start:tool"
    assert caffe.commands.keys() >= {*TOOLS, *SHORT}
