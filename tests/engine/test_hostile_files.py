"""Every reader of the engine on broken and hostile files: what it takes, or an error in words; no traceback, no end.

A minute each, by `pytest -m slow`. What was found lies as small files beside the tests of the readers.
"""

import gzip
import io
import shutil
import signal
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import h5py
import lmdb
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, Phase, given, seed, settings
from support.mutations import mutated
from support.small_nets import made

from engine.data import datum, idx, mat_file
from engine.data.hdf5_source import HDF5Source
from engine.data.image_source import ImageSource
from engine.data.leveldb import LevelDB
from engine.data.lmdb_reader import LMDB
from engine.data.transform import Transform
from engine.data.window_source import WindowSource
from engine.errors import DataError, EngineError
from engine.graph.build import build_graph
from engine.net import weights
from engine.proto import binary, text
from engine.proto import caffe_pb2 as pb
from engine.solver.snapshot import formats, resume_file

HERE = Path(__file__).parent
MINUTE = 60
SECONDS = 10
"""The most that one file may take."""

NET = """
name: "T"
layer { name: "in" type: "Input" top: "data" top: "label" input_param { shape { dim: 2 dim: 1 dim: 8 dim: 8 }
  shape { dim: 2 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" param { lr_mult: 1 } param { name: "b" decay_mult: 0 }
  convolution_param { num_output: 2 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { eps: 1e-5 } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "p" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" include { phase: TRAIN } }
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" include { phase: TEST } }
"""
OLD_NET = """
name: 'old' # caf\xe9
input: "data" input_dim: 2 input_dim: 3 input_dim: 9 input_dim: 9
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 3 stride: - 1 weight_filler { type: "gaussian" std: 0.01 } } }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layer { name: "l" type: INNER_PRODUCT bottom: "c" top: "l\\351" blobs_lr: 1 inner_product_param { num_output: 2 } }
"""
SOLVER = """
net: "net.prototxt" test_iter: 10 test_interval: 500 base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005
lr_policy: "multistep" gamma: 0.1 stepvalue: 100 stepvalue: 200 power: 0.75 display: 100 max_iter: 1000 snapshot: 500
snapshot_prefix: "m" solver_mode: CPU type: "Adam" random_seed: 1 train_state { stage: "a" level: 1 }
"""


@dataclass(frozen=True)
class Reader:
    """What is read: good files by name, and what reads a file of one name in an empty folder."""

    seeds: Callable[[], Mapping[str, bytes]]
    read: Callable[[Path], object]


def hdf5(write: Callable[[h5py.File], None]) -> bytes:
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        write(file)
    return image.getvalue()


def old_hdf5(write: Callable[[h5py.File], None]) -> bytes:
    """As libraries of Caffe's days write it."""
    image = io.BytesIO()
    with h5py.File(image, "w", libver=("earliest", "v108")) as file:
        write(file)
    return image.getvalue()


@cache
def net_and_params():
    net = made(NET)
    return net, net.init(1)


def models() -> dict[str, bytes]:
    net, params = net_and_params()

    def write(file):
        for i, layer in enumerate(net.layers):
            for n, k in enumerate(net.param_ids[i]):
                file[f"data/{layer.name}/{n}"] = params[k]

    return {
        "m.caffemodel": weights.to_model(net, params).SerializeToString(),
        "m.caffemodel.h5": hdf5(write),
        "old.caffemodel.h5": old_hdf5(write),
    }


def states() -> dict[str, bytes]:
    state = pb.SolverState(iter=4, current_step=1, learned_net="m.caffemodel")
    state.history.extend(binary.from_array(np.ones((2, i + 1), np.float32)) for i in range(4))

    def write(file):
        file["iter"], file["current_step"], file["learned_net"] = [4], [1], np.bytes_(b"m.caffemodel.h5")
        for i in range(4):
            file[f"history/{i}"] = np.ones((2, i + 1), np.float32)

    return {
        "m.solverstate": state.SerializeToString(),
        "m.solverstate.h5": hdf5(write),
        "old.solverstate.h5": old_hdf5(write),
    }


@cache
def data_files() -> dict[str, bytes]:
    values = np.arange(64, dtype=np.float32).reshape(4, 1, 4, 4)

    def write(file):
        file["data"], file["label"] = values, np.arange(4.0)

    def packed(file):
        file.create_dataset("data", data=values, chunks=True, compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("label", data=np.arange(4), maxshape=(None,))

    return {"a.h5": hdf5(write), "b.h5": hdf5(packed), "c.h5": old_hdf5(write), "d.h5": old_hdf5(packed)}


@cache
def mat_files() -> dict[str, bytes]:
    found = {}
    for name, options in (("a.mat", {}), ("b.mat", {"do_compression": True}), ("c.mat", {"format": "4"})):
        image = io.BytesIO()
        scipy.io.savemat(image, {"data": np.arange(6.0).reshape(2, 3), "label": np.uint8([[1, 2]])}, **options)
        found[name] = image.getvalue()
    return found


@cache
def pictures() -> dict[str, bytes]:
    values = np.random.default_rng(1).integers(0, 255, (9, 11, 3), np.uint8)
    kinds = (".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm", ".sr", ".jp2", ".gif", ".hdr", ".pfm")
    found = {}
    for kind in kinds:
        try:
            done, encoded = cv2.imencode(kind, values if kind not in (".hdr", ".pfm") else np.float32(values))
        except cv2.error:  # a format that this OpenCV lacks
            continue
        if done:
            found[f"p{kind}"] = encoded.tobytes()
    return found


def records() -> dict[str, bytes]:
    encoded = pictures()["p.png"]
    return {
        "raw": pb.Datum(channels=1, height=4, width=4, data=bytes(16), label=1).SerializeToString(),
        "float": pb.Datum(channels=1, height=2, width=2, float_data=[1, 2, 3, 4], label=1).SerializeToString(),
        "encoded": pb.Datum(encoded=True, data=encoded, label=1).SerializeToString(),
    }


def digits() -> dict[str, bytes]:
    images = struct.pack(">IIII", 0x803, 3, 4, 4) + bytes(48)
    labels = struct.pack(">II", 0x801, 3) + bytes(3)
    return {"images": images, "labels": labels, "images.gz": gzip.compress(images, mtime=0)}


def lists() -> dict[str, bytes]:
    return {
        "pictures.txt": b"p.png 0\np.png 2\n\n",
        "windows.txt": b"# 0\np.png\n3 9 11\n2\n1 0.7 0 0 5 5\n0 0.1 2 2 7 7\n",
        "hdf5.txt": b"a.h5\nb.h5\n",
    }


def lmdb_file() -> dict[str, bytes]:
    with _folder() as path:
        with lmdb.open(str(path), map_size=1 << 20) as env:
            for part in range(3):  # pages that were freed, and both meta pages
                with env.begin(write=True) as txn:
                    for i in range(part, 60):
                        txn.put(b"%08d" % i, bytes([i]) * (5000 if i % 20 == 0 else 150))
        return {"data.mdb": (path / "data.mdb").read_bytes()}


@cache
def leveldb_files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (HERE / "data/leveldb").iterdir() if path.suffix != ".md"}


def resume() -> dict[str, bytes]:
    run = {"type": "SGD", "iter_size": 1, "devices": 1, "data": {"data": [2, 1]}, "layers": {"ip": "ab"}}
    best = {"best": 0.5, "iteration": 3, "tests_since": 0, "plateau": -1}
    content = {"seed": 1, "data": {"d": {"after": "x", "batches": 1, "seed": 2}}, "test_data": [], "losses": [1.5]}
    content |= {"memories": [[[1.0], [2]]], "kept": [2, 4], "watch": best, "run": run}
    return {"m.resume.json": resume_file.written(content)}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def read_net(path: Path) -> None:
    net = text.read_net(path)
    again = text.parse(text.format(net), pb.NetParameter)
    assert text.format(again) == text.format(net)
    for phase in (pb.TRAIN, pb.TEST):
        build_graph(net, pb.NetState(phase=phase), path)
    text.layer_lines(path)


def read_solver(path: Path) -> None:
    solver = text.read_solver(path)
    assert text.format(text.parse(text.format(solver), pb.SolverParameter)) == text.format(solver)


def read_model(path: Path) -> None:
    formats.load_model(path, *net_and_params())


def read_state(path: Path) -> None:
    formats.find_model(formats.read_state(path), path)


def read_mean(path: Path) -> None:
    Transform(pb.TransformationParameter(), pb.TRAIN, path).shape((1, 2, 2))


def read_data(path: Path) -> None:
    (path.parent / "list.txt").write_text(f"{path}\n")
    source = HDF5Source(path.parent / "list.txt", ("data", "label"), 3, 1)
    source.next(), source.next()


def read_mat(path: Path) -> None:
    with mat_file.opened(path, DataError) as file:
        for name in file.members():
            file.numbers(name)


def read_picture(path: Path) -> None:
    for colour in datum.Colour:
        datum.decode(path.read_bytes(), colour)


def read_record(path: Path) -> None:
    datum.pixels(datum.parse(path.read_bytes()))


def read_digits(path: Path) -> None:
    (idx.read_labels if path.name == "labels" else idx.read_images)(path)


def read_list(path: Path) -> None:
    for name, data in {**data_files(), "p.png": pictures()["p.png"]}.items():
        (path.parent / name).write_bytes(data)
    transform = Transform(pb.TransformationParameter(crop_size=4), pb.TRAIN)
    tops = ("data", "label")
    if path.name == "pictures.txt":
        source = ImageSource(path, tops, 2, transform, 1, size=(8, 8))
    elif path.name == "windows.txt":
        source = WindowSource(path, tops, pb.WindowDataParameter(batch_size=2), transform, 1)
    else:
        source = HDF5Source(path, tops, 3, 1, shuffle=True)
    source.shapes(), source.next()
    source.restore(source.state())


def read_lmdb(path: Path) -> None:
    list(LMDB(path.parent).spread(5))
    read_database(LMDB(path.parent))


def read_leveldb(path: Path) -> None:
    for name, data in leveldb_files().items():
        if name != path.name:
            (path.parent / name).write_bytes(data)
    read_database(LevelDB(path.parent))


def read_database(database: LMDB | LevelDB) -> None:
    keys = [key for key, _ in database.records()]
    assert list(database.keys()) == keys
    list(database.records(keys[len(keys) // 2]))
    database.close()


def read_resume(path: Path) -> None:
    resume_file.read(path.with_name("m.solverstate"))


READERS = {
    "net": Reader(lambda: {"a.prototxt": NET.encode(), "b.prototxt": OLD_NET.encode("latin-1")}, read_net),
    "solver": Reader(lambda: {"s.prototxt": SOLVER.encode()}, read_solver),
    "model": Reader(models, read_model),
    "state": Reader(states, read_state),
    "mean": Reader(lambda: {"mean": binary.from_array(np.ones((1, 1, 2, 2))).SerializeToString()}, read_mean),
    "hdf5": Reader(data_files, read_data),
    "mat": Reader(mat_files, read_mat),
    "picture": Reader(pictures, read_picture),
    "record": Reader(records, read_record),
    "digits": Reader(digits, read_digits),
    "list": Reader(lists, read_list),
    "lmdb": Reader(lmdb_file, read_lmdb),
    "leveldb": Reader(leveldb_files, read_leveldb),
    "resume": Reader(resume, read_resume),
}


def _hangs(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s for one file")


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_any_file_is_read_or_refused_in_words(name, tmp_path, monkeypatch):
    reader, end = READERS[name], time.monotonic() + MINUTE
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, _hangs)

    @settings(
        max_examples=50,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(reader.seeds()))
    def once(file: tuple[str, bytes]) -> None:
        folder = tmp_path / "files"
        folder.mkdir()
        (folder / file[0]).write_bytes(file[1])
        signal.alarm(SECONDS)
        try:
            reader.read(folder / file[0])
        except EngineError:
            pass
        finally:
            signal.alarm(0)
            shutil.rmtree(folder)

    try:
        while time.monotonic() < end:
            seed(time.time_ns())(once)()
    finally:
        signal.signal(signal.SIGALRM, before)
