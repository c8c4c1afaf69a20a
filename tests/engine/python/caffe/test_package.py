"""What `import caffe` finds, and what it says where it cannot be."""

import importlib
import subprocess
import sys
from pathlib import Path

import caffe
import pytest

from engine.proto import caffe_pb2

ROOT = Path(__file__).parents[4]


def python(code, *folders):
    """What a Python of its own prints or dies of, with only these folders behind its own library."""
    lines = "import site, sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]"
    lines += "".join(f"; site.addsitedir({str(folder)!r})" for folder in folders)
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", f"{lines}\n{code}"], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def installed(tmp_path):
    """A folder as site-packages, with this project in it as its wheel has it."""
    (tmp_path / "engine").symlink_to(ROOT / "engine")
    (tmp_path / "hpcbrew-caffe.pth").write_text((ROOT / "engine/python/hpcbrew-caffe.pth").read_text())
    return tmp_path


FIND = "import importlib.util as u; print(u.find_spec('caffe').origin)"


def test_it_is_found_where_it_is_installed(installed):
    assert python(FIND, installed).strip() == str(installed / "engine/python/caffe/__init__.py")


def test_another_caffe_that_is_installed_stays_the_one(installed):
    (installed / "caffe").mkdir()
    (installed / "caffe/__init__.py").touch()
    assert python(FIND, installed).strip() == str(installed / "caffe/__init__.py")


def test_without_the_engine_it_says_what_to_install(installed):
    assert "import caffe needs the engine: pip install 'hpcbrew[engine]'" in python("import caffe", installed)


@pytest.mark.parametrize("name", caffe.__all__)
def test_every_name_is_there(name):
    assert hasattr(caffe, name)


@pytest.mark.parametrize("name", ["BlobVec", "RawBlobVec", "LayerVec", "NetVec", "StringVec", "IntVec", "BoolVec"])
def test_the_compiled_modules_vectors_are_there(name):
    assert issubclass(getattr(caffe._caffe, name), list)


def test_the_schema_is_the_engines():
    from caffe.proto import caffe_pb2 as theirs

    assert theirs is caffe_pb2


def test_the_schema_is_the_engines_too_where_its_folder_is_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(Path(caffe.__file__).parent / "proto")
    assert importlib.import_module("caffe_pb2") is caffe_pb2
    monkeypatch.delitem(sys.modules, "caffe_pb2")


def test_the_layer_types_are_caffes():
    assert {"Convolution", "LSTM", "Python"} <= set(caffe.layer_type_list())
