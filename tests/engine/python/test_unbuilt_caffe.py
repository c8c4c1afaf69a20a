"""Which caffe is imported where a script puts a checkout's python folder first."""

import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

OURS = Path(__file__).parents[3] / "engine/python"


@pytest.fixture
def checkout(tmp_path):
    """Caffe's python folder, as git has it."""
    package = tmp_path / "python/caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "pycaffe.py").touch()
    return package


def found(package):
    """Where a Python with hpcbrew installed has `caffe` from, this folder being first on sys.path; what it says."""
    code = f"""
import site, sys
site.addsitedir({str(OURS)!r})
import unbuilt_caffe
sys.path.insert(0, {str(package.parent)!r})
import importlib.util
print(importlib.util.find_spec("caffe").origin)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr


def test_one_that_is_not_built_is_passed_by_and_named(checkout):
    where, said = found(checkout)
    assert where == str(OURS / "caffe/__init__.py")
    assert said == f"{checkout} is not built; importing {where} instead\n"


@pytest.mark.parametrize("suffix", [EXTENSION_SUFFIXES[-1], ".py"], ids=["built", "of another hpcbrew"])
def test_one_that_can_be_imported_stays(checkout, suffix):
    (checkout / f"_caffe{suffix}").touch()
    assert found(checkout) == (str(checkout / "__init__.py"), "")


def test_another_package_of_the_name_stays(checkout):
    (checkout / "pycaffe.py").unlink()
    assert found(checkout) == (str(checkout / "__init__.py"), "")
