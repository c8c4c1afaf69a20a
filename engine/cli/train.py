"""`caffe train`."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine import log
from engine.cli import flags
from engine.errors import SolverError
from engine.host import collector, login_node
from engine.job_contract import ExitCode, Variable
from engine.solver.control.requests import EFFECTS, Request, Requests, signals

if TYPE_CHECKING:
    from engine.proto import caffe_pb2 as pb
    from engine.solver.options import TrainOptions

EPILOG = """\b
Examples:
  caffe train -solver solver.prototxt
  caffe train -solver solver.prototxt -gpu 0 -snapshot auto
  caffe train -solver solver.prototxt -gpu 0,1
  caffe train -solver finetune.prototxt -weights a.caffemodel,b.caffemodel
  caffe train -solver solver.prototxt -class_weights 1,1,4 -precision bfloat16

Ctrl-C stops after a snapshot, SIGHUP takes one and goes on. SIGTERM and the deadline take one and leave with status 75:
run again with -snapshot auto, and the run goes on exactly where it stood.
"""

EFFECT = click.Choice(list(EFFECTS))


@click.command(cls=flags.Command, epilog=EPILOG)
@click.option("--solver", required=True, metavar="FILE", help="The solver definition.")
@click.option(
    "--gpu",
    default="",
    metavar="N,…|all",
    help="The GPUs to train on, each with a batch of its own. Without it, solver_mode counts.",
)
@click.option("--snapshot", metavar="FILE", help="A .solverstate to go on from; 'auto': the newest, if there is one.")
@click.option("--weights", metavar="FILE,…", help="Models to take parameters from, by layer name.")
@click.option("--iterations", type=click.IntRange(0, 2**31 - 1), help="Train up to this iteration instead of max_iter.")
@flags.level
@click.option("--stage", default="", metavar="NAME,…", help="The stages of the train net's state.")
@click.option("--sigint_effect", type=EFFECT, default="stop", show_default=True, help="What Ctrl-C does.")
@click.option("--sighup_effect", type=EFFECT, default="snapshot", show_default=True, help="What SIGHUP does.")
@click.option("--deadline", type=float, metavar="SECONDS", help="Leave with a snapshot before so long has passed.")
@click.option("--changed", is_flag=True, help="Resume although the net, the solver's type or the data's shape changed.")
@click.option("--keep", type=click.IntRange(0), default=0, help="Keep the last N snapshots and the best. 0: all.")
@click.option("--watch", default="", metavar="OUTPUT", help="The test output that tells which parameters are best.")
@click.option("--early_stop", type=click.IntRange(0), default=0, help="Stop after N tests without a better -watch.")
@click.option("--warmup", type=click.IntRange(0), default=0, help="Let the learning rate rise for N iterations.")
@click.option(
    "--nan",
    type=click.Choice(["ignore", "warn", "stop", "loss"]),
    default=lambda: "loss" if _in_job() else "ignore",
    help="When a number is not finite any more: warn or stop naming the layer, or stop at a loss that is none. Without "
    "it: ignore, as Caffe does; in a job, loss.",
)
@click.option(
    "--class_weights",
    default="",
    metavar="W,W,…|FILE",
    help="How much each class counts in the trained net's SoftmaxWithLoss; tests weigh all alike.",
)
@flags.precision
@click.option(
    "--recompute",
    is_flag=True,
    help="Keep less on the GPU: blobs between layers with weights are computed anew for the gradient.",
)
@flags.layers
@flags.fork
@flags.skip_bad_records
@flags.local_copy_flag
@click.option("--progress_dir", metavar="DIR", help="Where to keep progress.json and metrics.jsonl.")
@click.option("--progress/--noprogress", default=True, help="The bar, on a terminal.")
def train(
    solver: str,
    gpu: str,
    snapshot: str | None,
    weights: str | None,
    iterations: int | None,
    level: int,
    stage: str,
    sigint_effect: str,
    sighup_effect: str,
    deadline: float | None,
    changed: bool,
    keep: int,
    watch: str,
    early_stop: int,
    warmup: int,
    nan: str,
    class_weights: str,
    precision: str,
    recompute: bool,
    progress_dir: str | None,
    progress: bool,
) -> int:
    """Trains a net, or goes on training it."""
    login_node.refuse()
    requests = Requests(_deadline(deadline))
    if snapshot and snapshot != "auto" and weights:
        raise SolverError("-snapshot and -weights: give a snapshot to resume from, or weights to finetune, not both.")
    param = _settings(solver, iterations, weights, level, stage)
    from engine.devices import jax_setup  # noqa: PLC0415  what follows imports JAX: --help does without

    jax_setup.join()
    jax_setup.prepare(jax_setup.gpu_of(gpu, param), precision)
    from engine.solver.options import TrainOptions, read_class_weights  # noqa: PLC0415

    options = TrainOptions(
        keep=keep,
        watch=watch,
        early_stop=early_stop,
        warmup=warmup,
        nan=nan,
        test_last=_in_job(),
        class_weights=read_class_weights(class_weights),
        precision=jax_setup.LOW[precision],
        recompute=recompute,
    )
    effects = {signal.SIGINT: EFFECTS[sigint_effect], signal.SIGHUP: EFFECTS[sighup_effect]}
    return _train(
        param,
        solver,
        requests,
        {**effects, signal.SIGTERM: Request.YIELD},
        options,
        snapshot=snapshot,
        changed=changed,
        progress_dir=progress_dir,
        bar=progress,
    )


def _in_job() -> bool:
    """Whether this is a job's training, whose user is not there to see it go wrong."""
    return Variable.RUN_DIR in os.environ


def _settings(solver: str, iterations: int | None, weights: str | None, level: int, stage: str) -> "pb.SolverParameter":
    """The solver in the file, as the flags have it."""
    from engine.proto import raw_bytes  # noqa: PLC0415  imports protobuf: --help does without
    from engine.solver import settings  # noqa: PLC0415

    param = settings.read(solver)
    if iterations is not None:
        param.max_iter = iterations
    if weights:
        param.weights[:] = [raw_bytes.kept(weights)]
    param.train_state.level = level
    param.train_state.stage.extend(flags.names(stage))
    if not param.max_iter:
        log.warning("caffe.cpp:209", f"max_iter is 0 or not given: nothing is trained. Add it to {solver}.")
    return param


def _train(
    param: "pb.SolverParameter",
    path: str,
    requests: Requests,
    effects: Mapping[signal.Signals, Request | None],
    options: "TrainOptions",
    *,
    snapshot: str | None,
    changed: bool,
    progress_dir: str | None,
    bar: bool,
) -> int:
    """On all devices that JAX has been given. Returns the exit status."""
    with collector.paused():
        import jax  # noqa: PLC0415  takes long: --help does without

        from engine.devices.data_parallel import DataParallel  # noqa: PLC0415
        from engine.devices.run_faults import surfaced  # noqa: PLC0415
        from engine.solver.report.caffe_log import Report  # noqa: PLC0415
        from engine.solver.report.progress_files import Records  # noqa: PLC0415
        from engine.solver.snapshot import formats  # noqa: PLC0415
        from engine.solver.solver import Outcome, Solver  # noqa: PLC0415

    parallel = DataParallel(jax.devices())
    state = formats.latest(param.snapshot_prefix) if snapshot == "auto" else snapshot
    folder = (progress_dir or os.environ.get(Variable.RUN_DIR)) if parallel.root else None
    with (
        surfaced(),
        signals(requests, effects),
        Records(Path(folder) if folder else None, bar=bar) as records,
        Solver(param, path, requests, Report(records), options, parallel) as trained,
    ):
        if state:
            log.info("caffe.cpp:220", f"Resuming from {state}")
            trained.restore(state, changed=changed)
        log.info("caffe.cpp:239", "Starting Optimization")
        with parallel.losses_named():
            outcome = trained.solve()
    if outcome is Outcome.DONE:
        log.info("caffe.cpp:250", "Optimization Done.")
    return ExitCode.CONTINUES if outcome is Outcome.CONTINUES else ExitCode.DONE


def _deadline(seconds: float | None) -> float | None:
    """The time.time() to be gone by: so many seconds from now, or HPCBREW_DEADLINE, which the job script sets."""
    if seconds is not None:
        return time.time() + seconds
    given = os.environ.get(Variable.DEADLINE)
    try:
        return float(given) if given else None
    except ValueError:
        raise SolverError(f"{Variable.DEADLINE} is {given!r}; it takes a time in seconds since 1970.") from None
