"""extract_features: what a net makes of its data → databases or files, as Caffe's own tool does it."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine import log
from engine.errors import DataError, DeviceError, NetError
from engine.host import regular_file
from engine.suggest import did_you_mean
from engine.tools import command, progress
from engine.tools.command import fork_option, layers_option, tool

if TYPE_CHECKING:
    from engine.net.net import Net
    from engine.solver.evaluation import TestNet
    from engine.tools.feature_files import FeatureFile

WHERE = "extract_features"
EVERY = 1000
"""Rows a line of the log."""

EPILOG = """\b
Examples:
  extract_features lenet.caffemodel train_val.prototxt ip1 features_lmdb 10 lmdb
  extract_features alexnet.caffemodel val.prototxt fc6,fc7 fc6.h5,fc7.h5 100 hdf5 GPU 0

db_type: lmdb or leveldb, a record of floats a row; hdf5 or npz, one array of the blob's shape, named after it. The net
is in phase TEST and has a data layer; what it writes is there when all of it is. Started again after it was stopped, it
goes on with its databases where net, model and first batch are the same, and no layer remembers the batches before;
hdf5 and npz begin anew.
"""


@tool("extract_features", EPILOG)
@click.argument("weights", metavar="pretrained_net_param")
@click.argument("model", metavar="feature_extraction_proto_file")
@click.argument("blobs", metavar="blob_name1[,name2,...]")
@click.argument("outputs", metavar="save_dataset_name1[,name2,...]")
@click.argument("batches", metavar="num_mini_batches", type=click.IntRange(1))
@click.argument("kind", metavar="db_type")
@click.argument("mode", metavar="[CPU/GPU]", required=False, default="CPU")
@click.argument("device", metavar="[DEVICE_ID=0]", required=False, type=click.IntRange(0), default=0)
@layers_option
@fork_option
def extract_features(
    weights: str, model: str, blobs: str, outputs: str, batches: int, kind: str, mode: str, device: int
) -> None:
    """Runs a net over its data and keeps what its blobs hold."""
    from engine.tools import feature_files  # noqa: PLC0415  --help does without

    names, paths = blobs.split(","), [Path(name) for name in outputs.split(",")]
    if len(names) != len(paths):
        raise DataError(f"{blobs} and {outputs}: the number of blob names and dataset names must be equal.")
    for given in (names, paths):
        if len({*given}) < len(given) or not all(map(str, given)):
            raise DataError(f"{','.join(map(str, given))}: each name is there once.")
    if kind not in feature_files.KINDS:
        raise DataError(f'db_type "{kind}"; there are {", ".join(feature_files.KINDS)}.')
    tested = _tested(model, weights, names, _gpu(mode, device))
    with tested.batches, ExitStack() as files:
        settings = _settings(tested, model, weights, batches) if _can_go_on(tested.net) else None
        made: dict[str, FeatureFile] = {}
        for name, path in zip(names, paths, strict=True):
            log.info(WHERE, f"Opening dataset {path}")
            own = settings and {**settings, "blob": name}
            made[name] = files.enter_context(feature_files.create(kind, path, name, own))
        _extract(tested, made, batches)
    log.info(WHERE, "Successfully extracted the features!")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(extract_features, argv)


def _gpu(mode: str, device: int) -> str:
    if mode not in ("CPU", "GPU"):
        raise DeviceError(f'"{mode}"; there are CPU and GPU, and behind GPU its number.')
    log.info(WHERE, f"Using {mode}")
    if mode == "GPU":
        log.info(WHERE, f"Using Device_id={device}")
    return str(device) if mode == "GPU" else ""


def _tested(model: str, weights: str, names: Sequence[str], gpu: str) -> "TestNet":
    """The net in phase TEST, with a model's parameters, whose passes give the blobs `names`."""
    from engine.devices import jax_setup  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415

    jax_setup.prepare(gpu)
    from engine.solver.evaluation import TestNet  # noqa: PLC0415  these import JAX
    from engine.solver.inputs import Batches  # noqa: PLC0415
    from engine.solver.report.caffe_log import Report  # noqa: PLC0415
    from engine.solver.settings import read_net  # noqa: PLC0415
    from engine.solver.snapshot import formats  # noqa: PLC0415

    net = Report().built(read_net(model, pb.NetState(phase=pb.TEST)))
    for name in names:
        if name not in net.blob_shapes:
            known = did_you_mean(name, net.blob_shapes)
            raise NetError(f"{model}: Unknown feature blob name {name} in the network {net.name}.{known}")
    params = formats.load_model(weights, net, net.init(seed=0))
    tested = TestNet(net, Batches(net, seed=0), seed=0, blobs=names)
    tested.params = params
    return tested


def _can_go_on(net: "Net") -> bool:
    """Whether what it makes of a batch, of as many rows each time, does not depend on the batches before."""
    return not net.recurrent_state and not any(layer.alone or layer.host for layer in net.layers)


def _settings(tested: "TestNet", model: str, weights: str, batches: int) -> dict[str, Any]:
    """What the rows follow from: net, model, and the data, of which the first batch is looked at."""
    import numpy as np  # noqa: PLC0415

    begin = tested.batches.state()
    first = hashlib.sha256()
    for name, value in sorted(tested.batches.next().items()):
        first.update(name.encode() + np.asarray(value).tobytes())
    tested.batches.restore(begin)
    files = {path: hashlib.sha256(regular_file.read(path)).hexdigest() for path in (model, weights)}
    return {"files": files, "first": first.hexdigest(), "batches": batches}


def _gone_on(tested: "TestNet", files: "dict[str, FeatureFile]") -> int:
    """How many batches a stopped process had put into all of `files`; goes to where the next one begins."""
    sizes = {name: (tested.net.blob_shapes[name] or (1,))[0] for name in files}
    done = min(file.rows // sizes[name] for name, file in files.items())
    for name, file in files.items():
        file.rows = done * sizes[name]
    if done:
        tested.batches.skip(done)
        log.info(WHERE, f"Going on behind batch {done}")
    return done


def _extract(tested: "TestNet", files: "dict[str, FeatureFile]", batches: int) -> None:
    import numpy as np  # noqa: PLC0415

    from engine.devices.run_faults import surfaced  # noqa: PLC0415

    log.info(WHERE, "Extracting Features")
    begin = _gone_on(tested, files)
    with surfaced():
        for _, values in progress.shown(tested.passes([], batches, begin), batches, begin):
            for name, file in files.items():
                before = file.rows
                file.write(np.atleast_1d(np.asarray(values[name])))
                for done in range(before // EVERY + 1, file.rows // EVERY + 1):
                    _say(done * EVERY, name)
    for name, file in files.items():
        if file.rows % EVERY:
            _say(file.rows, name)


def _say(count: int, name: str) -> None:
    log.info(WHERE, f"Extracted features of {count} query images for feature blob {name}")


if __name__ == "__main__":
    raise SystemExit(main())
