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

Ctrl-C takes a snapshot and stops; SIGHUP takes one and continues. SIGTERM and the deadline take one and exit with
status 75: run the same command with -snapshot auto to continue exactly where the run stopped.
"""

EFFECT = click.Choice(list(EFFECTS))


@click.command(cls=flags.Command, epilog=EPILOG)
@click.option("--solver", required=True, metavar="FILE", help="The solver definition.")
@click.option(
    "--gpu",
    default="",
    metavar="N,…|all",
    help="Train on these GPUs, each with a batch of its own. Without this flag, the solver's solver_mode decides.",
)
@click.option("--snapshot", metavar="FILE", help="Resume from this .solverstate; 'auto': from the newest, if any.")
@click.option("--weights", metavar="FILE,…", help="Initialize parameters from these models, by layer name.")
@click.option("--iterations", type=click.IntRange(0, 2**31 - 1), help="Train up to this iteration instead of max_iter.")
@flags.level
@click.option("--stage", default="", metavar="NAME,…", help="The train net's stages (NetState).")
@click.option("--sigint_effect", type=EFFECT, default="stop", show_default=True, help="What to do on Ctrl-C.")
@click.option("--sighup_effect", type=EFFECT, default="snapshot", show_default=True, help="What to do on SIGHUP.")
@click.option("--deadline", type=float, metavar="SECONDS", help="Take a snapshot and exit within this time.")
@click.option("--changed", is_flag=True, help="Resume even if the net, the solver's type or the data's shape changed.")
@click.option("--keep", type=click.IntRange(0), default=0, help="Keep the last N snapshots and the best. 0: all.")
@click.option("--watch", default="", metavar="OUTPUT", help="Judge which snapshot is best by this test output.")
@click.option("--early_stop", type=click.IntRange(0), default=0, help="Stop after N tests without a better -watch.")
@click.option("--warmup", type=click.IntRange(0), default=0, help="Raise the learning rate linearly for N iterations.")
@click.option(
    "--nan",
    type=click.Choice(["ignore", "warn", "stop", "loss"]),
    default=lambda: "loss" if _in_job() else "ignore",
    help="What to do about NaN and infinity. warn, stop: name the layer that produced the first one, and continue or "
    "stop. loss: stop when the loss is not finite. ignore: go on, like Caffe. Default: loss in a job, else ignore.",
)
@click.option(
    "--class_weights",
    default="",
    metavar="W,W,…|FILE",
    help="Weight the classes in the train net's SoftmaxWithLoss. Tests weight all classes equally.",
)
@flags.precision
@click.option(
    "--recompute",
    is_flag=True,
    help="Save GPU memory: recompute the blobs between layers with weights in the backward pass.",
)
@flags.layers
@flags.fork
@flags.skip_bad_records
@flags.local_copy_flag
@click.option("--progress_dir", metavar="DIR", help="Write progress.json and metrics.jsonl to this folder.")
@click.option("--progress/--noprogress", default=True, help="Show a progress bar on a terminal.")
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
    """Train a net, or resume its training."""
    login_node.refuse()
    requests = Requests(_deadline(deadline))
    if snapshot and snapshot != "auto" and weights:
        raise SolverError("-snapshot and -weights: give a snapshot to resume from, or weights to finetune, not both.")
    param = _settings(solver, iterations, weights, level, stage)
    from engine.devices import jax_setup  # noqa: PLC0415  what follows imports JAX, which --help does not need

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
    """Whether this run is part of a job, with no user watching it."""
    return Variable.RUN_DIR in os.environ


def _settings(solver: str, iterations: int | None, weights: str | None, level: int, stage: str) -> "pb.SolverParameter":
    """The solver in the file, with the flags applied to it."""
    from engine.proto import raw_bytes  # noqa: PLC0415  imports protobuf, which --help does not need
    from engine.solver import settings  # noqa: PLC0415

    param = settings.read(solver)
    if iterations is not None:
        param.max_iter = iterations
    if weights:
        param.weights[:] = [raw_bytes.kept(weights)]
    param.train_state.level = level
    param.train_state.stage.extend(flags.names(stage))
    if not param.max_iter:
        log.warning("caffe.cpp:209", f"max_iter is 0 or missing, so nothing is trained. Set it in {solver}.")
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
    """Trains on all devices that JAX was given. Returns the exit status."""
    with collector.paused():
        import jax  # noqa: PLC0415  slow to import, and --help does not need it

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
        with parallel.naming_lost_nodes():
            outcome = trained.solve()
    if outcome is Outcome.DONE:
        log.info("caffe.cpp:250", "Optimization Done.")
    return ExitCode.CONTINUES if outcome is Outcome.CONTINUES else ExitCode.DONE


def _deadline(seconds: float | None) -> float | None:
    """The time.time() by which to exit: `seconds` from now, or HPCBREW_DEADLINE, which the job script sets."""
    if seconds is not None:
        return time.time() + seconds
    value = os.environ.get(Variable.DEADLINE)
    try:
        return float(value) if value else None
    except ValueError:
        raise SolverError(f"{Variable.DEADLINE} is {value!r}; it must be a time in seconds since 1970.") from None
