"""A net in a process forked from one that ran a net is refused, where it would hang."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import multiprocessing, warnings
warnings.simplefilter("ignore")
from engine.errors import NetError
from support.small_nets import INPUT, X, ip, made
import caffe
open("net.prototxt", "w").write(INPUT + ip("y", "x", "y", 4))
caffe.set_mode_cpu()
net = caffe.Net("net.prototxt", caffe.TEST)
if {ran}:
    net.forward(x=X)

def work(what):
    try:
        if what == "read":
            return "read" if net.blobs["x"].data.shape == X.shape else ""
        run = caffe.Net("net.prototxt", caffe.TEST) if what == "new" else net
        return "ran" if run.forward(x=X) else ""
    except NetError as e:
        return str(e)

with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map(work, ["read", "old", "new"]))
"""


@pytest.mark.parametrize("ran", [True, False])
def test_it_is_refused_where_a_net_ran_before(ran, tmp_path):
    path = f"{ROOT}:{ROOT}/tests:{ROOT}/engine/python"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM).replace("{ran}", str(ran))],
        cwd=tmp_path,
        env={"PYTHONPATH": path, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.count("read") == 1
    assert done.stdout.count("was forked from one that had run a net") == (2 if ran else 0)
    assert done.stdout.count("'ran'") == (0 if ran else 2)
