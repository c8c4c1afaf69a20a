import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.wheels import stub

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.setup import wheelhouse
from hpcbrew.setup.wheelhouse import Target


def ask(python: str = sys.executable) -> Target:
    done = subprocess.run([python, "-c", wheelhouse.ASK], capture_output=True, text=True, check=False)
    return wheelhouse.parse(CommandResult(done.returncode, f"Welcome\n{done.stdout}", done.stderr))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Wheels that need one thing here and another there, and no index beside them."""
    folder = tmp_path / "index"
    folder.mkdir()
    requires = (
        'Requires-Dist: older; python_version < "3.99"\nRequires-Dist: newer; python_version >= "3.99"\n'
        'Requires-Dist: arm; platform_machine == "of-another-kind"\n'
    )
    stub(folder, "top", {"top.py": ""}, requires)
    for name in ("older", "newer", "arm"):
        stub(folder, name, {f"{name}.py": ""})
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "PIP_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def collected(index: Path, target: Target) -> set[str]:
    house = index.parent / "house"
    wheelhouse.collect(next(index.glob("top-*")), "all", target, house)
    return {path.name.split("-")[0] for path in house.iterdir()}


def test_a_python_says_its_markers_and_platforms() -> None:
    target = ask()
    assert target.environment["python_version"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert any(tag.startswith("linux_") for tag in target.platforms)
    assert "any" not in target.platforms


def test_requirements_are_those_of_the_python_there_not_of_this_one(index: Path) -> None:
    target = ask()
    assert collected(index, target) == {"top", "older"}
    remote = {"python_version": "3.99", "python_full_version": "3.99.1+", "platform_machine": "of-another-kind"}
    target = replace(target, environment=target.environment | remote)
    (index.parent / "house").rename(index.parent / "before")
    assert collected(index, target) == {"top", "newer", "arm"}


def test_wheels_of_another_platform_are_none_of_its(index: Path) -> None:
    next(index.glob("older-*")).rename(index / "older-0.1.0-py3-none-manylinux_2_39_riscv64.whl")
    with pytest.raises(RequestError, match="older"):
        collected(index, ask())
    assert "older" in collected(index, replace(ask(), platforms=("manylinux_2_39_riscv64",)))


def test_a_pip_that_does_not_say_is_an_error() -> None:
    with pytest.raises(TransportError, match="No module named"):
        wheelhouse.parse(CommandResult(1, "Welcome\n", "No module named 'pip'"))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{", "not valid JSON"),
        ("[" * 5000 + "]" * 5000, "nested too deep"),
        ('{"environment": {}, "platforms": []}', "python_full_version is missing"),
        ('{"environment": {"python_full_version": "x", "platform_release": ""}}', "python_full_version: 'x'"),
        ('{"environment": {"python_full_version": "3.12", "platform_release": ""}, "platforms": ["--index-url=x"]}',
         "platforms: item 1"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_read_is_an_error(said: str, why: str) -> None:
    with pytest.raises(TransportError, match=why):
        wheelhouse.parse(CommandResult(0, f"{wheelhouse.MARK}{said}\n"))
