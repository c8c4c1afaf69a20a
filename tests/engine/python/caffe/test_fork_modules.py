"""Modules of forks that scripts import from `caffe`: found in the fork's checkout, run on this caffe."""

import importlib
import sys

import caffe
import pytest


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    """Modules that a test imports are no longer there after it, and no checkout of one's own is before."""
    monkeypatch.delenv("CAFFE_ROOT", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("caffe."):
            del sys.modules[name]


def libs(root, says):
    """A fork's file below `root`, written on what every caffe has."""
    folder = root / "python/caffe"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('not built')")
    (folder / "model_libs.py").write_text(f"from caffe import layers as L\nSAYS = {says!r}\nMADE = L.ReLU\n")
    return root


@pytest.mark.parametrize("place", ["the working directory", "CAFFE_ROOT", "sys.path", "the script's root"])
def test_a_forks_module_is_found_in(place, tmp_path, monkeypatch):
    root = libs(tmp_path / "ssd", place)
    if place == "the working directory":
        monkeypatch.chdir(root)
    elif place == "CAFFE_ROOT":
        monkeypatch.setenv("CAFFE_ROOT", str(root))
    elif place == "sys.path":
        monkeypatch.syspath_prepend(root / "python")
    else:
        monkeypatch.setattr(sys.modules["__main__"], "__file__", str(root / "examples/ssd/ssd_pascal.py"))
    assert vars(importlib.import_module("caffe.model_libs"))["SAYS"] == place


def test_a_folder_of_modules_is_found_too(tmp_path, monkeypatch):
    (libs(tmp_path, "") / "python/caffe/test").mkdir()
    (tmp_path / "python/caffe/test/test_net.py").write_text("from caffe import Net")
    monkeypatch.chdir(tmp_path)
    assert importlib.import_module("caffe.test.test_net").Net is caffe.Net


def test_where_a_module_was_looked_for_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"python/caffe/model_libs\.py runs here: set CAFFE_ROOT"):
        importlib.import_module("caffe.model_libs")
