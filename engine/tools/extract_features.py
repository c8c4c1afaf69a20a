"""extract_features: a net's blobs, computed from its data → databases or files, like Caffe's own tool."""

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
"""Rows per log line."""

EPILOG = """\b
Examples:
  extract_features lenet.caffemodel train_val.prototxt ip1 features_lmdb 10 lmdb
  extract_features alexnet.caffemodel val.prototxt fc6,fc7 fc6.h5,fc7.h5 100 hdf5 GPU 0

db_type: lmdb or leveldb, one record of floats per row; hdf5 or npz, one array named after the blob. The net needs a
data layer and runs in phase TEST. An output appears only once it is complete. If the tool is interrupted, running it
again continues its databases, provided that the net, the model and the first batch are the same and no layer's output
depends on earlier batches; hdf5 and npz files start from the beginning.
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
    """Run a net over its data and write the values of some of its blobs to databases or files."""
    from engine.tools import feature_files  # noqa: PLC0415  --help does not need it

    names, paths = blobs.split(","), [Path(name) for name in outputs.split(",")]
    if len(names) != len(paths):
        raise DataError(f"{blobs} and {outputs}: the number of blob names and dataset names must be equal.")
    for values in (names, paths):
        if len({*values}) < len(values) or not all(map(str, values)):
            raise DataError(f"{','.join(map(str, values))}: names must be different and not empty.")
    if kind not in feature_files.KINDS:
        raise DataError(f'unknown db_type "{kind}"; it must be one of {", ".join(feature_files.KINDS)}.')
    tested = _tested(model, weights, names, _gpu(mode, device))
    with tested.batches, ExitStack() as files:
        settings = _settings(tested, model, weights, batches) if _can_go_on(tested.net) else None
        by_blob: dict[str, FeatureFile] = {}
        for name, path in zip(names, paths, strict=True):
            log.info(WHERE, f"Opening dataset {path}")
            own = settings and {**settings, "blob": name}
            by_blob[name] = files.enter_context(feature_files.create(kind, path, name, own))
        _extract(tested, by_blob, batches)
    log.info(WHERE, "Successfully extracted the features!")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(extract_features, argv)


def _gpu(mode: str, device: int) -> str:
    if mode not in ("CPU", "GPU"):
        raise DeviceError(f'unknown mode "{mode}"; give CPU, or GPU followed by its number.')
    log.info(WHERE, f"Using {mode}")
    if mode == "GPU":
        log.info(WHERE, f"Using Device_id={device}")
    return str(device) if mode == "GPU" else ""


def _tested(model: str, weights: str, names: Sequence[str], gpu: str) -> "TestNet":
    """The net in phase TEST, with a model's parameters. Its passes return the blobs `names`."""
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
            hint = did_you_mean(name, net.blob_shapes)
            raise NetError(f"{model}: Unknown feature blob name {name} in the network {net.name}.{hint}")
    params = formats.load_model(weights, net, net.init(seed=0))
    tested = TestNet(net, Batches(net, seed=0), seed=0, blobs=names)
    tested.params = params
    return tested


def _can_go_on(net: "Net") -> bool:
    """Whether the blobs of a batch do not depend on earlier batches, and all batches give the same number of rows."""
    return not net.recurrent_state and not any(layer.single_device_reason or layer.host for layer in net.layers)


def _settings(tested: "TestNet", model: str, weights: str, batches: int) -> dict[str, Any]:
    """What determines the rows: the net, the model and the data, which the first batch stands for."""
    import numpy as np  # noqa: PLC0415

    begin = tested.batches.state()
    first = hashlib.sha256()
    for name, value in sorted(tested.batches.next().items()):
        first.update(name.encode() + np.asarray(value).tobytes())
    tested.batches.restore(begin)
    files = {path: hashlib.sha256(regular_file.read(path)).hexdigest() for path in (model, weights)}
    return {"files": files, "first": first.hexdigest(), "batches": batches}


def _gone_on(tested: "TestNet", files: "dict[str, FeatureFile]") -> int:
    """The number of batches that an interrupted run had written to all `files`. Skips the data of these batches."""
    sizes = {name: (tested.net.blob_shapes[name] or (1,))[0] for name in files}
    count = min(file.rows // sizes[name] for name, file in files.items())
    for name, file in files.items():
        file.rows = count * sizes[name]
    if count:
        tested.batches.skip(count)
        log.info(WHERE, f"Continuing after batch {count}")
    return count


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
                for step in range(before // EVERY + 1, file.rows // EVERY + 1):
                    _say(step * EVERY, name)
    for name, file in files.items():
        if file.rows % EVERY:
            _say(file.rows, name)


def _say(count: int, name: str) -> None:
    log.info(WHERE, f"Extracted features of {count} query images for feature blob {name}")


if __name__ == "__main__":
    raise SystemExit(main())
