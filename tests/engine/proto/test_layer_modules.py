"""Modules of layers from outside of the tree are found, read, and run when a net asks for one of their types."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import EngineError
from engine.graph import known_layers
from engine.graph.build import build_graph
from engine.job_contract import Variable
from engine.layers import registry
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import layer_modules, text

ROOT = Path(__file__).parents[3]

TWICE = """
from engine.layers.base import Layer
from engine.layers import registry

@registry.layer("Twice")
class Twice(Layer):
    def setup(self, x):
        return [x]

    def forward(self, params, bottoms, ctx):
        return [2 * bottoms[0]]
"""
NET = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 }} }} }}
layer {{ name: "y" type: "{}" bottom: "x" top: "y" }}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "REGISTRY", dict(registry.REGISTRY))
    monkeypatch.setenv(Variable.LAYERS, "")
    yield tmp_path
    for name in ("twice", "fails", "silent"):
        sys.modules.pop(name, None)


def net(kind):
    return text.parse(NET.format(kind), pb.NetParameter)


def test_a_file_is_run_when_a_net_has_one_of_its_types(here):
    (here / "twice.py").write_text(TWICE)
    layer_modules.use("twice.py")
    assert "twice" not in sys.modules
    known_layers.check(build_graph(net("Twice"), pb.NetState()))
    made = Net.from_param(net("Twice"))
    assert made.forward([], {"x": np.float32([3])}).outputs == {"y": [6]}


def test_a_module_in_a_package_is_read_without_running_the_package(here):
    (here / "pack").mkdir()
    (here / "pack" / "__init__.py").write_text("raise RuntimeError")
    (here / "pack" / "twice.py").write_text(TWICE)
    layer_modules.use("pack.twice")
    assert layer_modules.types()["Twice"].root == here


def test_an_installed_package_names_its_module(here, monkeypatch):
    (here / "twice.py").write_text(TWICE)
    info = here / "twofold-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: twofold\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hpcbrew.layers]\ntwofold = twice\n")
    monkeypatch.syspath_prepend(here)
    layer_modules._installed.cache_clear()
    try:
        assert layer_modules.types()["Twice"].installed
        assert "Twice" in registry.known()
    finally:
        monkeypatch.undo()
        layer_modules._installed.cache_clear()


@pytest.mark.parametrize(
    ("named", "source", "said"),
    [
        ("none.py", None, "none.py: the module of layers cannot be read"),
        ("none", None, 'there is no module "none" .* To name a file, write none.py'),
        ("my-own.py", TWICE, "my-own.py: a module cannot have this name"),
        ("random.py", TWICE, "random.py: a module cannot have this name"),
        ("bare.py", "x = 1", "registers no layer: one of its classes needs @layer"),
        ("wrong.py", "def f(:", "SyntaxError"),
        ("again.py", TWICE.replace("Twice", "ReLU"), 'there is a layer "ReLU" already'),
        ("fails.py", TWICE + "\nraise ValueError('no')", "fails.py: ValueError: no"),
        (
            "silent.py",
            TWICE.replace("registry.layer", "layer").replace("@", "layer = lambda n: lambda c: c\n@"),
            "ran without registering",
        ),
        ("late.py", TWICE + "\nSCHEMA = 'message Late {}'", f"set {Variable.LAYERS}=late.py in the environment"),
    ],
)
def test_what_cannot_be_used_is_told(here, named, source, said):
    if source is not None:
        (here / named).write_text(source)

    def used():
        layer_modules.use(named)
        Net.from_param(net("Twice"))

    with pytest.raises(EngineError, match=said):
        used()


def test_two_modules_with_one_type_are_told(here):
    for name in ("a.py", "b.py"):
        (here / name).write_text(TWICE)
    layer_modules.use("a.py,b.py")
    with pytest.raises(EngineError, match=r'b.py: .*a.py has a layer "Twice" too'):
        layer_modules.types()


def contributing(kind):
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)


def test_the_layer_inside_of_the_tree_that_contributing_shows_is_the_trees():
    written = (ROOT / "engine/layers/activation.py").read_text()
    assert [block for block in contributing("python") if block in written]


TRAINED = """
layer {{ name: "data" type: "DummyData" top: "ip" top: "label" dummy_data_param {{
  shape {{ dim: 4 dim: 3 }} shape {{ dim: 4 }} data_filler {{ value: 1 }} data_filler {{ value: 2 }} }} }}
{} layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "shrink" bottom: "label" top: "loss" }}
"""
RUN = """
import numpy as np
from engine.cli import main
assert main(["train", "-solver", "solver.prototxt", "-layers", "my_layers.py"]) == 0
import caffe
net = caffe.Net("net.prototxt", "out_iter_3.caffemodel", caffe.TEST)
(b,) = net.params["shrink"]
assert b.data.argmax() == 2 and np.allclose(net.forward(end="shrink")["shrink"], 0.75 + b.data)
saved = caffe.proto.caffe_pb2.NetParameter.FromString(open("out_iter_3.caffemodel", "rb").read())
assert [layer.shrink_param.by for layer in saved.layer if layer.type == "Shrink"] == [0.25]
assert "Shrink" in caffe.layer_type_list()
print("ok")
"""


def test_the_layer_outside_of_the_tree_that_contributing_shows_is_trained_saved_and_loaded(tmp_path):
    (module,) = (block for block in contributing("python") if "SCHEMA" in block)
    (written,) = (block for block in contributing("text") if "Shrink" in block)
    (tmp_path / "my_layers.py").write_text(module)
    (tmp_path / "net.prototxt").write_text(TRAINED.format(written))
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 3 snapshot_prefix: "out" solver_mode: CPU'
    )
    surroundings = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT / "engine/python")}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip().endswith("ok"), done.stderr
