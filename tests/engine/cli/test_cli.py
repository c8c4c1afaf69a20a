"""`caffe`: what it prints, leaves behind and returns; its processes and signals."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pytest

from engine.cli import main
from engine.data.datum import raw
from engine.data.lmdb_writer import LMDBWriter
from engine.proto import caffe_pb2 as pb

ROOT = Path(__file__).parents[3]

NET = """
name: "tiny"
layer { name: "d" type: "Data" top: "x" top: "t" data_param { source: "db" batch_size: 4 backend: LMDB } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "t" top: "accuracy" include { phase: TEST } }
"""
DROPOUT = 'layer { name: "drop" type: "Dropout" bottom: "y" top: "y" }'
SOLVER = """
net: "net.prototxt" test_iter: 1 test_interval: 4 base_lr: 1e-5 lr_policy: "fixed" momentum: 0.9
display: 2 max_iter: 8 snapshot: 4 snapshot_prefix: "tiny" solver_mode: CPU random_seed: 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A net, its solver and its database, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    rng = np.random.default_rng(0)
    with LMDBWriter(tmp_path / "db") as db:
        for i in range(10):
            db.put(b"%08d" % i, raw(rng.integers(0, 256, (1, 3, 3), np.uint8), i % 3).SerializeToString())
    return tmp_path


def _start(*args: str, **env: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | env
    command = [sys.executable, "-m", "engine.cli", *args]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _run(*args: str, **env: str) -> tuple[int, str]:
    process = _start(*args, **env)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def test_a_bad_record_ends_the_run_or_is_skipped_from_a_copy_on_the_node_s_disk(folder: Path):
    with lmdb.open("db") as env, env.begin(write=True) as txn:
        txn.put(b"00000002", b"\xff\xff")
    (folder / "disk").mkdir()
    status, said = _run("train", "-solver=solver.prototxt", "-iterations=1")
    assert (status, 'layer "d": db: record "00000002": not a Datum record' in said) == (2, True), said
    status, said = _run("train", "-solver=solver.prototxt", "-skip_bad_records", "-iterations=1", "-local_copy=disk")
    assert status == 0, said
    assert re.search(r'^W.* layer "d": skipped a bad record: disk/hpcbrew-\w+/db: record "00000002": not', said, re.M)
    assert re.search(r'layer "d": \d+ bad records? w\w+ skipped in all', said)
    assert list((folder / "disk").iterdir()) == []


def test_train_then_test(folder: Path):
    status, said = _run("train", "-solver=solver.prototxt", HPCBREW_RUN_DIR="run")
    assert status == 0, said
    assert all(re.match(r"[IW]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+\] |[a-z}\s]", line) for line in said.splitlines())
    assert re.findall(r"Iteration (\d+) \(.* iter/s, .*s/2 iters\), loss = ", said) == ["0", "2", "4", "6"]
    assert re.findall(r"Iteration (\d+), Testing net \(#0\)", said) == ["0", "4", "8"]
    assert said.rstrip().endswith("Optimization Done.")
    assert sorted(p.name for p in folder.glob("tiny*")) == sorted(
        f"tiny_iter_{i}.{kind}" for i in (4, 8) for kind in ("caffemodel", "solverstate", "resume.json")
    )
    assert json.loads((folder / "run/progress.json").read_text())["iteration"] == 8

    status, said = _run("test", "--model", "net.prototxt", "-weights=tiny_iter_8.caffemodel", "-iterations", "2")
    assert status == 0, said
    assert re.findall(r"Batch (\d), accuracy = ", said) == ["0", "1"]
    assert re.search(r"\] accuracy = [\d.]+\n.*\] loss = \S+ \(\* 1 = \S+ loss\)\n$", said)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 75)])
def test_a_signal_stops_with_a_snapshot_from_which_the_run_goes_on(number, status, folder: Path):
    solver = SOLVER.replace("max_iter: 8", "max_iter: 1000000").replace("display: 2", "display: 100")
    (folder / "solver.prototxt").write_text(solver.replace("test_iter: 1 test_interval: 4", ""))
    process = _start("train", "-solver", "solver.prototxt")
    for line in process.stderr:
        if "Iteration 100," in line:
            process.send_signal(number)
            break
    _, said = process.communicate(timeout=120)
    assert process.returncode == status, said
    assert "Optimization stopped early." in said
    assert "Traceback" not in said
    last = max(int(p.name.split("_")[2].split(".")[0]) for p in folder.glob("*.solverstate"))
    status, said = _run("train", "-solver", "solver.prototxt", "-snapshot", "auto", "-iterations", str(last + 2))
    assert status == 0, said
    assert f"Resuming from tiny_iter_{last}.solverstate" in said


@pytest.mark.slow
def test_killed_fifty_times_the_run_still_ends_the_same(folder: Path):
    """Snapshots every few milliseconds, old ones deleted: kills fall within writes. A run that ends begins anew."""
    (folder / "net.prototxt").write_text(NET.replace('layer { name: "loss"', f'{DROPOUT} layer {{ name: "loss"'))
    long = SOLVER.replace("max_iter: 8", "max_iter: 2000").replace("snapshot: 4", "snapshot: 10")
    long = long.replace("display: 2", "display: 0").replace("test_iter: 1 test_interval: 4", "")
    (folder / "solver.prototxt").write_text(long.replace("tiny", "through"))
    assert _run("train", "-solver", "solver.prototxt", "-keep", "1")[0] == 0
    want = (folder / "through_iter_2000.caffemodel").read_bytes()
    (folder / "solver.prototxt").write_text(long)
    rng, kills, ends = np.random.default_rng(9), 0, 0
    while kills < 50 or not ends:
        process = _start("train", "-solver", "solver.prototxt", "-snapshot", "auto", "-keep", "2")
        said = []
        while "Learning Rate Policy" not in (said or [""])[-1] and (line := process.stderr.readline()):
            said.append(line)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=rng.uniform(0, 2) if kills < 50 else 300)
        process.kill()
        _, rest = process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
            continue
        assert process.returncode == 0, "".join(said) + rest
        ends += 1
        assert (folder / "tiny_iter_2000.caffemodel").read_bytes() == want
        states = {path.name for path in folder.glob("tiny*.solverstate")}
        assert states == {"tiny_iter_1990.solverstate", "tiny_iter_2000.solverstate"}
        assert not list(folder.glob(".tiny*"))
        for path in folder.glob("tiny*"):
            path.unlink()


def test_the_deadline_is_kept(folder: Path):
    (folder / "solver.prototxt").write_text(SOLVER.replace("max_iter: 8", "max_iter: 100000000"))
    started = time.time()
    status, said = _run("train", "-solver", "solver.prototxt", HPCBREW_DEADLINE=str(time.time() + 15))
    assert status == 75, said
    assert time.time() < started + 15


BAD = [
    (["train"], "Missing option -solver. `caffe train --help` says more."),
    (["train", "-solver", "none.prototxt"], "none.prototxt: no such file"),
    (["train", "-solver", "solver.prototxt", "-gpu", "0"], "-gpu 0: JAX finds no GPU"),
    (["train", "-solver", "solver.prototxt", "-gpu", "0,0"], "-gpu 0,0: it takes distinct numbers of GPUs"),
    (["train", "-solver", "solver.prototxt", "-gpu", "first"], "-gpu first: it takes distinct numbers of GPUs"),
    (["train", "-solver", "solver.prototxt", "-snapshot", "a.solverstate", "-weights", "b"], "not both"),
    (["train", "-solver", "solver.prototxt", "-snapshot", "a.solverstate"], "a.solverstate: no such solver state"),
    (["train", "-solver", "solver.prototxt", "-weights", "a.caffemodel"], "a.caffemodel: no such model"),
    (["train", "-solver", "solver.prototxt", "-class_weights", "1,2"], "2 class weights for its 3 classes"),
    (["train", "-solver", "solver.prototxt", "-class_weights", "1,2,x"], "-class_weights 1,2,x: could not convert"),
    (
        ["train", "-solver", "solver.prototxt", "-precision", "half"],
        "'half' is not one of 'float32', 'tf32', 'bfloat16'",
    ),
    (["test", "-model", "net.prototxt", "-weights", "net.prototxt"], "is text"),
    (["tarin"], "No such command 'tarin'. Did you mean 'train'?"),
    (["device_query", "-gpu", "all"], "-gpu all: JAX finds no GPU"),
]


@pytest.mark.parametrize(("args", "message"), BAD, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_what_the_user_can_put_right_is_one_message_and_status_2(args, message, folder: Path, capsys):
    before = set(folder.iterdir())
    assert main(args) == 2
    said = capsys.readouterr().err
    assert f"caffe: error: {said.rpartition('caffe: error: ')[2]}" in said
    assert message in said.rpartition("caffe: error: ")[2]
    assert "Traceback" not in said
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("momentum", "momentom", r'solver\.prototxt:2: "momentom" is not a field'),
        ('"fixed"', '"fixd"', r'solver\.prototxt:\d+: unknown lr_policy "fixd".*Did you mean "fixed"'),
        ('"net.prototxt"', '"nets.prototxt"', r"nets\.prototxt: no such file"),
        (
            '"tiny"',
            '"nowhere/tiny"',
            r"solver\.prototxt:\d+: snapshot_prefix 'nowhere/tiny': nowhere: No such file or directory",
        ),
        ("solver_mode: CPU", "solver_mode: TPU", r"solver\.prototxt:3: .*TPU"),
    ],
)
def test_a_wrong_solver_is_refused(old, new, message, folder: Path, capsys):
    (folder / "solver.prototxt").write_text(SOLVER.replace(old, new))
    assert main(["train", "-solver", "solver.prototxt"]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_label_out_of_range_is_refused(folder: Path, capsys):
    (folder / "net.prototxt").write_text(NET.replace("num_output: 3", "num_output: 2"))
    assert main(["train", "-solver", "solver.prototxt"]) == 2
    assert re.search(r"db.*00000002.*label 2 .*the net has 2 classes, 0 to 1", capsys.readouterr().err)


def test_no_command_is_answered_with_the_help(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: caffe")


def test_help_comes_without_jax():
    code = "import sys; from engine.cli import main; main(['train', '--help']); sys.exit('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "caffe train -solver solver.prototxt" in done.stdout


def test_solver_mode_gpu_is_a_wish_and_the_flag_an_order(folder: Path, capsys):
    (folder / "solver.prototxt").write_text(SOLVER.replace("solver_mode: CPU", "solver_mode: GPU"))
    assert main(["train", "-solver", "solver.prototxt", "-iterations", "1"]) == 0
    assert "solver_mode is GPU, but the CPU is used" in capsys.readouterr().err


@pytest.mark.parametrize("extra", [["-precision", "bfloat16"], ["-class_weights", "1,2,0"], ["-precision", "tf32"]])
def test_what_caffe_has_not_is_asked_for_by_flags(extra, folder: Path):
    models = []
    for flags in ([], extra):
        assert main(["train", "-solver", "solver.prototxt", "-iterations", "2", *flags]) == 0
        models.append((folder / "tiny_iter_2.caffemodel").read_bytes())
        assert main(["test", "-model", "net.prototxt", "-weights", "tiny_iter_2.caffemodel", "-iterations", "1"]) == 0
    assert (models[0] == models[1]) == ("tf32" in extra)  # a CPU has no TF32


def test_train_and_test_write_what_sinks_get(folder: Path):
    sink = 'layer { name: "out" type: "HDF5Output" bottom: "y" bottom: "t" hdf5_output_param { file_name: "out.h5" } }'
    (folder / "net.prototxt").write_text(
        NET + sink.replace("out.h5", "train.h5").replace("{ n", "{ include { phase: TRAIN } n")
    )
    assert main(["train", "-solver", "solver.prototxt", "-iterations", "3"]) == 0
    (folder / "net.prototxt").write_text(NET + sink)
    assert main(["test", "-model", "net.prototxt", "-weights", "tiny_iter_3.caffemodel", "-iterations", "2"]) == 0
    for name, batches in (("train.h5", 3), ("out.h5", 2)):
        with h5py.File(folder / name) as file:
            assert file["data"].shape == (4 * batches, 3, 1, 1)
            labels = np.arange(4 * batches) % 10 % 3
            np.testing.assert_array_equal(file["label"][:, 0, 0, 0], labels)


FILTERED = """
layer { name: "d" type: "Data" top: "x" top: "t" data_param { source: "db" batch_size: 4 backend: LMDB } }
layer { name: "pick" type: "Filter" bottom: "x" bottom: "t" bottom: "t" top: "some" top: "labels" }
layer { name: "ip" type: "InnerProduct" bottom: "some" top: "y" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "labels" top: "loss" }
"""


@pytest.mark.parametrize(
    ("net", "layers", "precision"),
    [
        (NET, ["ip", "loss"], "bfloat16"),
        (FILTERED, ["pick", "ip", "loss"], "float32"),
    ],
)
def test_time_names_every_layer(net, layers, precision, folder: Path, capsys):
    (folder / "net.prototxt").write_text(net)
    assert main(["time", "-model", "net.prototxt", "-iterations", "2", "-precision", precision]) == 0
    said = capsys.readouterr().err
    for direction in ("forward", "backward"):
        assert [name for name in re.findall(rf"(\S+)\t{direction}: ", said) if "_split" not in name] == layers
    assert "Average Forward-Backward: " in said


def test_time_tells_the_memory_and_runs_nothing(folder: Path, capsys):
    (folder / "net.prototxt").write_text(NET)
    assert main(["time", "-model", "net.prototxt", "-memory", "-phase", "TEST"]) == 0
    said = capsys.readouterr().err
    assert "Memory of a pass: " in said
    assert "Performing Forward" not in said


def test_model_files_load_with_the_schema_alone(folder: Path):
    assert main(["train", "-solver", "solver.prototxt", "-iterations", "1"]) == 0
    model = pb.NetParameter()
    model.ParseFromString((folder / "tiny_iter_1.caffemodel").read_bytes())
    assert [list(b.shape.dim) for layer in model.layer for b in layer.blobs] == [[3, 9], [3]]


BLOBS_FROM_A_PROCESS = """
import multiprocessing, caffe, numpy as np

def produce(queue):
    while True:
        queue.put(np.ones((4, 3), np.float32))

class Fetch(caffe.Layer):
    def setup(self, bottom, top):
        self.queue = multiprocessing.Queue(3)
        multiprocessing.Process(target=produce, args=(self.queue,), daemon=True).start()
        top[0].reshape(4, 3)
    def reshape(self, bottom, top): pass
    def forward(self, bottom, top): top[0].data[...] = self.queue.get()
    def backward(self, top, down, bottom): pass

class Later(caffe.Layer):
    def setup(self, bottom, top): self.passes = 0
    def reshape(self, bottom, top): top[0].reshape(1)
    def forward(self, bottom, top):
        self.passes += 1
        if self.passes == 3: raise OSError("gone")
        top[0].data[...] = bottom[0].data.sum()
    def backward(self, top, down, bottom): bottom[0].diff[...] = 1
"""
PYTHON_NET = """
layer { name: "d" type: "Python" top: "x" python_param { module: "fetches" layer: "Fetch" } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
"""


def _python_layers(folder: Path, last: str) -> None:
    (folder / "fetches.py").write_text(BLOBS_FROM_A_PROCESS)
    (folder / "net.prototxt").write_text(PYTHON_NET + last)
    (folder / "solver.prototxt").write_text(SOLVER.replace("test_iter: 1 test_interval: 4", ""))


def test_a_data_layer_with_a_process_of_its_own_does_not_keep_the_run_from_ending(folder: Path):
    _python_layers(folder, 'layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }')
    status, said = _run("train", "-solver=solver.prototxt")
    assert status == 0, said
    assert said.rstrip().endswith("Optimization Done.")


@pytest.mark.parametrize("command", ["train -solver solver.prototxt", "time -model net.prototxt -iterations 5"])
def test_a_python_layer_that_raises_later_is_one_line(folder: Path, command: str):
    layer = 'python_param { module: "fetches" layer: "Later" } loss_weight: 1'
    _python_layers(folder, f'layer {{ name: "py" type: "Python" bottom: "y" top: "loss" {layer} }}')
    status, said = _run(*command.split())
    assert status == 2, said
    assert re.search(
        r'\ncaffe: error: .*net.prototxt:4: layer "py" \(Python\): OSError: gone \(.*fetches.py:\d+, in f', said
    )
    assert "Traceback" not in said


MADE_INSIDE = """
layer { name: "d" type: "DummyData" top: "x" top: "yy"
        dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 2 } data_filler { type: "constant" value: 7 } } }
layer { name: "s" type: "Slice" bottom: "yy" top: "t" top: "z" slice_param { axis: 1 } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""


@pytest.mark.parametrize("more", ["", "iter_size: 2", "test_initialization: false"])
def test_a_label_out_of_range_that_the_net_makes_is_refused_with_its_layer(folder: Path, more: str, capsys):
    (folder / "net.prototxt").write_text(MADE_INSIDE)
    (folder / "solver.prototxt").write_text(SOLVER + more)
    assert main(["train", "-solver", "solver.prototxt"]) == 2
    assert re.search(r'net.prototxt:6: layer "loss" \(SoftmaxWithLoss\): label 7 in "t"', capsys.readouterr().err)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("-iterations=99999999999999999999", "not in the range"),
        ("-level=99999999999999999999", "not in the range"),
        (f"-snapshot={'n' * 300}", "File name too long"),
        (f"-weights={'n' * 300}", "File name too long"),
        ("-weights=\udcff.caffemodel", r"\xff.caffemodel: no such model"),
        (f"-precision={'x' * 9999}", "xxx…xxx"),
    ],
)
def test_odd_values_of_flags_are_told(flag: str, says: str, folder: Path, capsys):
    assert main(["train", "-solver=solver.prototxt", flag]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("caffe: error: ")
    assert says in said
    assert len(said) < 1000


def test_stages_and_solvers_may_be_called_by_any_bytes(folder: Path):
    (folder / "net.prototxt").write_text(NET.replace("batch_size: 4", "batch_size: 2"))
    Path("solver.prototxt").rename("\udcff.prototxt")
    assert main(["train", "-solver=\udcff.prototxt", "-stage=\udcff", "-iterations=1"]) == 0
    assert (
        main(["test", "-model=net.prototxt", "-weights=tiny_iter_1.caffemodel", "-stage=\udcff", "-iterations=1"]) == 0
    )


def test_a_closed_stderr_is_no_fault(folder: Path):
    command = f"{sys.executable} -m engine.cli train -solver solver.prototxt -iterations 1 2>&-"
    assert (
        subprocess.run(["sh", "-c", command], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False).returncode == 0
    )
    assert Path("tiny_iter_1.caffemodel").exists()
