"""Builds the parts of a training run, in Caffe's order and words: the nets, their data, the compiled iteration."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from engine import forked, log
from engine.devices.data_parallel import DataParallel
from engine.errors import SolverError
from engine.net import blob_memory
from engine.net.net import Net
from engine.net.sized import Uses
from engine.proto import caffe_pb2 as pb
from engine.proto import raw_bytes
from engine.solver import loop, settings, step, updates
from engine.solver.backward import Keep
from engine.solver.best_tracker import Best, BestTracker
from engine.solver.evaluation import TestNet
from engine.solver.gradients import Settings
from engine.solver.inputs import Batches
from engine.solver.loop import Iterate
from engine.solver.options import TrainOptions
from engine.solver.report.caffe_log import Report
from engine.solver.settings import NetSpec
from engine.solver.snapshot import formats
from engine.solver.snapshot.checkpoint import Checkpointer
from engine.solver.snapshot.retention import SnapshotSeries
from engine.solver.state import DataPositions, TrainState
from engine.solver.step import Apply
from engine.solver.updates import Update

Array = jax.Array


@dataclass(frozen=True)
class TrainingRun:
    """The parts of a run that stay the same while it goes on.

    param: the settings; base_lr, momentum and gamma may be changed between steps. net: the trained net; batches: its
    inputs. iterate, apply: run iterations, and only the update. together: the most iterations per call. uses: counts
    the sizes of batches. test_nets: the tested nets, with their own data. tracker: None if no test output is watched.
    """

    param: pb.SolverParameter
    options: TrainOptions
    parallel: DataParallel
    report: Report
    net: Net
    update: Update[Any]
    iterate: Iterate
    apply: Apply
    together: int
    uses: Uses
    batches: Batches
    test_nets: Sequence[TestNet]
    tracker: BestTracker | None
    checkpointer: Checkpointer


def build(
    param: pb.SolverParameter,
    path: str | Path | None,
    report: Report,
    options: TrainOptions,
    parallel: DataParallel,
    *,
    keep_values: bool,
) -> tuple[TrainingRun, TrainState]:
    """Builds a run and its initial state. path: the solver's file; relative names are also looked for beside it.
    keep_values: see `Solver`.

    Raises EngineError.
    """
    forked.check()
    with settings.named(path, param):
        settings.check(param)
        update = updates.from_solver(param)
        treatment = Settings.from_solver(param)
    report.settings(param)
    (seed,) = parallel.broadcast(param.random_seed if param.random_seed >= 0 else secrets.randbits(31))
    net = _train_net(settings.train_net(param, path), report, options, parallel)
    series = _series(param, path, net, options, parallel)
    batches = Batches(net, seed, parallel)
    params = parallel.params(net, net.init(seed))
    for name in _models(param):
        params = _load_weights(name, net, params, parallel)
    test_nets = _test_nets(param, path, net, seed, report, options, keep_values=keep_values)
    tracker = _tracker(param, options, test_nets)
    steps, finite = param.snapshot_diff or keep_values, options.nan in ("warn", "stop")
    uses = Uses(ahead=batches.ahead)
    keep = Keep(steps=steps, values=keep_values, finite=finite, debug=param.debug_info, recompute=options.recompute)
    run = TrainingRun(
        param=param,
        options=options,
        parallel=parallel,
        report=report,
        net=net,
        update=update,
        iterate=loop.compiled(net, update, treatment, keep, parallel, uses),
        apply=step.compiled_update(net, update, treatment, keep, parallel),
        together=loop.most(net, treatment, keep, parallel) if batches.read_ahead else 1,
        uses=uses,
        batches=batches,
        test_nets=test_nets,
        tracker=tracker,
        checkpointer=Checkpointer(param, net, update, parallel, series),
    )
    state = TrainState(
        params=params,
        history=parallel.history(net, update.init(params)),
        seed=seed,
        data=DataPositions(batches.state(), [test.batches.state() for test in test_nets]),
        best=Best() if tracker else None,
    )
    log.info("solver.cpp:57", "Solver scaffolding done.")
    return run, state


def _train_net(spec: NetSpec, report: Report, options: TrainOptions, parallel: DataParallel) -> Net:
    log.info("solver.cpp:102", f"Creating training {spec.source}")
    net = report.built(spec, options.precision)
    parallel.check(net)
    options.weigh(net)
    if jax.default_backend() == "cpu":
        blob_memory.check(net)
    if options.recompute and (net.dynamic or jax.default_backend() == "cpu"):
        what = "for nets whose sizes depend on values" if net.dynamic else "on a CPU"
        log.warning("solver.cpp:102", f"-recompute saves no memory {what}.")
    return net


def _test_nets(
    param: pb.SolverParameter,
    path: str | Path | None,
    trained: Net,
    seed: int,
    report: Report,
    options: TrainOptions,
    *,
    keep_values: bool,
) -> list[TestNet]:
    tests = []
    for index, spec in enumerate(settings.test_nets(param, path, untested=keep_values)):
        log.info("solver.cpp:190", f"Creating test net (#{index}) specified by {spec.source}")
        net = report.built(spec, options.precision)
        magnitudes = report.forward if param.debug_info else None
        test = TestNet(net, Batches(net, seed + index + 1), seed, keep_values=keep_values, report=magnitudes)
        test.share(trained)
        for name in _models(param):
            log.info("solver.cpp:91", f"Finetuning from {name}")
            test.params = formats.load_model(name, net, test.params)
        tests.append(test)
    return tests


def _series(
    param: pb.SolverParameter, path: str | Path | None, net: Net, options: TrainOptions, parallel: DataParallel
) -> SnapshotSeries:
    """The run's series of snapshots. Raises SnapshotError if they could not be written."""
    hdf5 = param.snapshot_format == pb.SolverParameter.HDF5
    formats.check_size(net.params, hdf5=hdf5, diffs=param.snapshot_diff)
    if hdf5:
        formats.check_names(net)
    if parallel.root and (param.snapshot or param.snapshot_after_train):
        with settings.named(path, param):
            formats.check_writable(param.snapshot_prefix)
    return SnapshotSeries(param.snapshot_prefix, hdf5, options.keep)


def _models(param: pb.SolverParameter) -> list[str]:
    """The model files to finetune from."""
    return [raw_bytes.native(name.strip()) for entry in param.weights for name in entry.split(",")]


def _load_weights(path: str, net: Net, params: Sequence[Array], parallel: DataParallel) -> list[Array]:
    """`params` with those from a model for the layers that it has too, by name. Raises SnapshotError."""
    log.info("solver.cpp:91", f"Finetuning from {path}")
    loaded = formats.load_model(path, net, params)
    _tell_copied(path, net, [new is not old for new, old in zip(loaded, params, strict=True)])
    placed: list[Array] = parallel.params(net, loaded)
    return placed


def _tell_copied(path: str, net: Net, loaded: Sequence[bool]) -> None:
    """Logs which layers start with a model's parameters and which do not. loaded: the same for each parameter."""
    learning = [(layer.name, ids) for layer, ids in zip(net.layers, net.param_ids, strict=True) if layer.params]
    copied = [name for name, ids in learning if any(loaded[k] for k in ids)]
    others = [name for name, _ in learning if name not in copied]
    if copied:
        log.info("caffe.cpp:150", f"Copied by name: {', '.join(copied)}. Not in it: {', '.join(others) or 'none'}.")
    else:
        log.warning("caffe.cpp:150", f"{path}: has none of this net's layers with parameters ({', '.join(others)}).")


def _tracker(param: pb.SolverParameter, options: TrainOptions, test_nets: Sequence[TestNet]) -> BestTracker | None:
    """The tracker of the watched output, if any. Raises SolverError if this output is missing."""
    if not options.watch:
        if param.lr_policy == "plateau":
            raise SolverError('lr_policy "plateau" needs -watch: the test output that has to improve.')
        return None
    tracker = BestTracker.of(options.watch)
    tracker.check({name for test in test_nets for name in test.net.output_names})
    return tracker
