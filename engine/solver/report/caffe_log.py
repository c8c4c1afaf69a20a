"""Reports on a run: Caffe's log lines, and the records that the submitter and plots read."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from engine import log
from engine.graph.build import build_graph, filter_net
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver import lr_policy
from engine.solver.evaluation import Pass, Scores
from engine.solver.report import magnitudes
from engine.solver.report.magnitudes import PassMagnitudes
from engine.solver.report.progress_files import Records
from engine.solver.settings import NetSpec


class Report:
    """Logs what happens in Caffe's words, and passes the figures to `records`."""

    def __init__(self, records: Records | None = None) -> None:
        self.records = records or Records()
        self._clock = time.monotonic()
        self._shown = 0
        self._clip = -1.0
        self._display = 0
        self._weights: dict[str, float] = {}
        self._finite = True

    # Setting up

    def settings(self, param: pb.SolverParameter) -> None:
        """Logs the solver's parameters at the start."""
        log.info("solver.cpp:45", f"Initializing solver from parameters: \n{text.format(param).rstrip()}")
        for note in lr_policy.taken_for_zero(param):
            log.warning("sgd_solver.cpp:81", f"{note}.")

    def built(self, spec: NetSpec, precision: str = "float32") -> Net:
        """Builds the net of `spec` and logs its text, then its layers, blobs and outputs."""
        filtered = filter_net(spec.param, spec.state, spec.path)
        filtered.state.CopyFrom(spec.state)
        log.info("net.cpp:53", f"Initializing net from parameters: \n{text.format(filtered).rstrip()}")
        net = Net(build_graph(spec.param, spec.state, spec.path), precision=precision)
        memory = 0
        for i, layer in enumerate(net.layers):
            log.info("net.cpp:86", f"Creating Layer {layer.name}")
            bottoms = {v.blob for v in net.graph.nodes[i].bottoms}
            for value in net.graph.nodes[i].bottoms:
                log.info("net.cpp:408", f"{layer.name} <- {value.blob}")
            for value in net.tops[i]:
                log.info("net.cpp:382", f"{layer.name} -> {value.blob}{' (in-place)' if value.blob in bottoms else ''}")
            for line in layer.setup_log:
                (log.warning if line.warns else log.info)(line.where, line.message)
            log.info("net.cpp:124", f"Setting up {layer.name}")
            for value, weight in zip(net.tops[i], net.loss_weights[i], strict=True):
                shape = net.shapes[value]
                count = int(np.prod(shape, dtype=np.int64))
                memory += 4 * count
                log.info("net.cpp:131", f"Top shape: {' '.join(map(str, (*shape, f'({count})')))}")
                if weight:
                    log.info("net.cpp:134", f"    with loss weight {log.number(weight)}")
            log.info("net.cpp:139", f"Memory required for data: {memory}")
            for n, k in enumerate(net.param_ids[i]):
                owner = net.params[k]
                if (owner.layer, owner.index) != (layer.name, n):
                    shared = f"'{layer.config.param[n].name}' owned by layer '{owner.layer}', param index {owner.index}"
                    log.info("net.cpp:467", f"Sharing parameters {shared}")
        for layer, runs in reversed(list(zip(net.layers, net.needs_backward.layers, strict=True))):
            does = ("net.cpp:200", "needs") if runs else ("net.cpp:202", "does not need")
            log.info(does[0], f"{layer.name} {does[1]} backward computation.")
        for name in net.output_names:
            log.info("net.cpp:244", f"This network produces output {name}")
        log.info("net.cpp:257", "Network initialization done.")
        return net

    # Running

    def start(self, net: Net, param: pb.SolverParameter, iteration: int, devices: int) -> None:
        """Training begins or continues at `iteration`, with one batch for each of `devices`."""
        self._clock, self._shown = time.monotonic(), iteration
        self._clip, self._display = param.clip_gradients, param.display
        self._weights = net.output_weights
        self.records.start(net, param, iteration, devices)

    def iteration(
        self, iteration: int, loss: float, outputs: Mapping[str, Any], rate: np.float32, drops: int | None = None
    ) -> None:
        """Logs an iteration that is shown: the averaged loss, the net's outputs, the learning rate.

        drops: how often "multistep" has lowered the rate, if it does so in this iteration.
        """
        now = time.monotonic()
        lapse, self._clock = now - self._clock, now
        speed = (iteration - self._shown) / (lapse or 1)
        self._shown = iteration
        log.info(
            "solver.cpp:239",
            f"Iteration {iteration} ({log.number(speed)} iter/s, {log.number(int(lapse * 1000) / 1000)}s/"
            f"{self._display} iters), loss = {log.number(loss)}",
        )
        if self._finite and not np.isfinite(loss):
            self._finite = False
            log.warning(
                "solver.cpp:239",
                f"The loss is {log.number(loss)} at iteration {iteration}, and training from here on is useless. Is "
                "base_lr too large? -nan stop ends such a run, and names the layer.",
            )
        values = _host(outputs)
        for i, line in enumerate(_lines(values, self._weights)):
            log.info("solver.cpp:258", f"    Train net output #{i}: {line}")
        if drops is not None:
            self.multistep(iteration, drops)
        log.info("sgd_solver.cpp:112", f"Iteration {iteration}, lr = {log.number(rate)}")
        self.records.trained(iteration, loss, float(rate), _figures(values))

    def multistep(self, iteration: int, drops: int) -> None:
        """Logs that the rate was lowered for the `drops`-th time."""
        log.info("sgd_solver.cpp:51", f"MultiStep Status: Iteration {iteration}, step = {drops}")

    def magnitudes(self, net: Net, passes: Sequence[magnitudes.PassMagnitudes]) -> None:
        """Logs the magnitudes in an iteration's passes, for debug_info."""
        for blobs, params in passes:
            for where, message in (*magnitudes.forward(net, blobs, params), *magnitudes.backward(net, blobs, params)):
                log.info(where, message)
            log.error(*magnitudes.norms(params))

    def forward(self, net: Net, measured: PassMagnitudes) -> None:
        """Logs the magnitudes in a pass without gradients, for debug_info."""
        for where, message in magnitudes.forward(net, measured.blobs, measured.params):
            log.info(where, message)

    def clipping(self, norm: Any) -> None:
        """Logs the L2 norm of an iteration's gradients if they were clipped; reads it only if clipping is on."""
        if self._clip >= 0 and self._clip < (norm := float(norm)):
            log.info(
                "sgd_solver.cpp:127",
                f"Gradient clipping: scaling down gradients (L2 norm {log.number(norm)} > {log.number(self._clip)}) by "
                f"scale factor {log.number(self._clip / norm)}",
            )

    def progress(self, iteration: int, losses: Sequence[Any], rate: np.float32, *, last: bool) -> None:
        """Records that `iteration` iterations are done. losses: of the last `average_loss`, ready on the device."""
        self.records.progress(iteration, losses, rate, last=last)

    def diverged(self, iteration: int) -> None:
        """Records that training stops, since the loss of `iteration` is not finite."""
        self.records.diverged(iteration)

    def test(self, iteration: int, index: int, net: Net, scores: Scores, param: pb.SolverParameter) -> None:
        """Logs and records the means of a test."""
        if param.test_compute_loss:
            log.info("solver.cpp:403", f"Test loss: {log.number(scores.loss)}")
        for number, precision in chain.from_iterable(classes.items() for classes in scores.classes.values()):
            if precision is None:
                log.warning("solver.cpp:524", f"Missing true_pos for label: {number}")
            elif param.show_per_class_result:
                log.info("solver.cpp:540", f"class{number}: {log.number(np.float32(precision))}")
        for i, line in enumerate(_lines(scores.outputs, net.output_weights)):
            log.info("solver.cpp:414", f"    Test net output #{i}: {line}")
        self.records.tested(iteration, index, scores.loss, _figures(scores.outputs), net.output_weights)

    # `caffe test`

    def batches(self, passes: Iterable[Pass]) -> Iterator[Pass]:
        """`passes`, logging each output of each batch on the way."""
        for i, (loss, outputs) in enumerate(passes):
            for name, value in _host(outputs).items():
                for x in value.flat:
                    log.info("caffe.cpp:304", f"Batch {i}, {name} = {log.number(x)}")
            yield loss, outputs

    def scores(self, net: Net, scores: Scores) -> None:
        """Logs the means over all batches."""
        log.info("caffe.cpp:309", f"Loss: {log.number(scores.loss)}")
        for line in _lines(scores.outputs, net.output_weights):
            log.info("caffe.cpp:321", line)


def _host(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(outputs[name], np.float32) for name in sorted(outputs)}


def _lines(outputs: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> Iterator[str]:
    """`NAME = VALUE` for each element of each output, and for a loss also its share of the total."""
    for name, value in outputs.items():
        weight = weights[name]
        for x in value.flat:
            share = f" (* {log.number(weight)} = {log.number(np.float32(weight) * x)} loss)" if weight else ""
            yield f"{name} = {log.number(x)}{share}"


def _figures(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The outputs as JSON values: a number, or a flat list of them."""
    return {name: float(v.flat[0]) if v.size == 1 else v.ravel().tolist() for name, v in outputs.items()}
