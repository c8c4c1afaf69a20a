import hashlib
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from support.wheels import stub

from hpcbrew.errors import RequestError
from hpcbrew.setup import wheel


def unpack(path: Path, folder: Path) -> metadata.Distribution:
    """What pip makes of a wheel, with a script outside of it and compiled files."""
    command = ["install", "--no-deps", "--no-index", "--target", str(folder), str(path)]
    wheel.pip(command, "installing")
    return next(iter(metadata.distributions(path=[str(folder)])))


def test_what_is_installed_is_packed_again_as_the_wheel_it_was(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first = stub(tmp_path, "hpcbrew", {"hpcbrew/__init__.py": "x = 1\n"}, entry="caffe = hpcbrew:x")
    again = wheel.repack(unpack(first, tmp_path / "site"), tmp_path / "out")
    assert again.name == first.name
    kept = {n: zipfile.ZipFile(first).read(n) for n in zipfile.ZipFile(first).namelist() if "RECORD" not in n}
    assert {n: zipfile.ZipFile(again).read(n) for n in kept} == kept
    assert not [n for n in zipfile.ZipFile(again).namelist() if n.endswith(".pyc") or n.startswith("bin/")]
    unpack(again, tmp_path / "second")
    code = "import hpcbrew; print(hpcbrew.x)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "second", capture_output=True, check=True)
    assert done.stdout == b"1\n"


def test_the_same_files_make_the_same_wheel(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    installed = unpack(stub(tmp_path, "hpcbrew", {"hpcbrew/__init__.py": ""}), tmp_path / "site")
    digests = {hashlib.sha256(wheel.repack(installed, tmp_path / "out").read_bytes()).digest() for _ in range(2)}
    assert len(digests) == 1


def test_pips_own_words_are_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"(?s)collecting failed on this machine .*nothing-of-that-name"):
        wheel.pip(["download", "--no-index", "--dest", str(tmp_path), "nothing-of-that-name"], "collecting")
