"""A net in phase TEST: compiled once, and run over its data with the parameters of the trained net."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.errors import SolverError
from engine.graph.graph import Value
from engine.net.convolution_work import light
from engine.net.net import Net
from engine.net.sized import Uses
from engine.solver import detection_scores, in_turn
from engine.solver.inputs import Batches
from engine.solver.keys import base_key
from engine.solver.report import magnitudes
from engine.solver.report.compiling import compiling
from engine.solver.report.magnitudes import PassMagnitudes
from engine.solver.sinks import Sinks

Array = jax.Array
Pass = tuple[Array, dict[str, Array]]
"""The loss and the outputs of one batch, on the device."""


class Scores(NamedTuple):
    """Means over the batches of a test: the net's loss, and each output by name, in its own shape. For an output of
    DetectionEvaluate it is the mean average precision, and `classes` has those of the classes."""

    loss: float
    outputs: dict[str, np.ndarray]
    classes: dict[str, dict[int, float | None]] = {}  # noqa: RUF012  never changed


class TestNet:
    """A test net, its data, and the source of its parameters.

    params: its own values, used for layers that the trained net lacks. blobs: the blobs that passes return instead of
    the outputs, each in its last version. computed: with `keep_values`, every version of every blob in the last pass.
    report: called with the magnitudes of each pass, for debug_info.
    """

    __test__ = False  # not a test case, though its name looks like one to pytest

    def __init__(
        self,
        net: Net,
        batches: Batches,
        seed: int,
        blobs: Sequence[str] = (),
        *,
        keep_values: bool = False,
        report: Callable[[Net, PassMagnitudes], None] | None = None,
    ) -> None:
        self.net = net
        self._blobs = {value.blob: value for tops in net.tops for value in tops if value.blob in blobs}
        self.batches = batches
        self.params: list[Any] = net.init(seed)
        self._key = base_key(seed)
        self.computed: Mapping[Value, Array] = {}
        self._keep = keep_values
        self._report = report
        self._shared: dict[int, int] = {}
        self._forward = net.compile(
            self._pass,
            uses=Uses(ahead=batches.ahead),
            inputs=lambda _, inputs, __: inputs,
            light=lambda _, inputs, __: light(net.resized({name: np.shape(x) for name, x in inputs.items()})),
            made_of=lambda: (TestNet._pass, net.made_of(), self._blobs, self._keep, report is None),
        )
        self._settle = in_turn.settle(net)
        self._compiled = False

    def _pass(
        self, params: Sequence[Array], inputs: Any, key: Array
    ) -> tuple[Pass, list[Array], dict[str, Any], Array, dict[Value, Array], PassMagnitudes | None]:
        """A pass's loss and outputs, recurrent state for the next pass, bottoms of sinks, label checks, values, and
        magnitudes."""
        out = self.net.forward(params, inputs, key, keep=self._keep or bool(self._blobs) or self._report is not None)
        large = magnitudes.of_pass(self.net, out.values, params) if self._report else None
        outputs = {name: out.values[value].astype(jnp.float32) for name, value in self._blobs.items()} or out.outputs
        recurrent = [out.updates.get(k, params[k]) for k in self.net.recurrent_state]
        return (out.loss, outputs), recurrent, out.sinks, out.labels, out.values if self._keep else {}, large

    def share(self, trained: Net) -> None:
        """Shares the parameters of every layer whose name `trained` has too. Raises SolverError if shapes differ."""
        indices = {layer.name: i for i, layer in enumerate(self.net.layers)}
        for t, layer in enumerate(trained.layers):
            i = indices.get(layer.name)
            if i is None:
                continue
            for mine, theirs in zip(self.net.param_ids[i], trained.param_ids[t], strict=False):
                wanted, found = self.net.params[mine].shape, trained.params[theirs].shape
                if wanted != found:
                    raise SolverError(
                        f'layer "{layer.name}" has a parameter of shape {list(found)} in the train net and of '
                        f"{list(wanted)} in the test net; a test takes the parameters of the train net by layer name."
                    )
                self._shared[mine] = theirs

    def values(self, trained: Sequence[Any]) -> list[Any]:
        """This net's parameters, given those of the trained net."""
        return [trained[self._shared[k]] if k in self._shared else p for k, p in enumerate(self.params)]

    def passes(self, trained: Sequence[Any], count: int, first: int = 0) -> Iterator[Pass]:
        """Yields the loss and outputs, on the device, of batches `first` to `count`; the data must be at batch `first`.

        After the last one, the sinks' files are in place. Raises LayerError, also after the last one, for labels that
        are no class.
        """
        params = self.values(trained)
        label_checks: list[Array] = []
        latest: Pass | None = None
        with Sinks(self.net) as sinks:
            for i in range(first, count):
                key, batch = jax.random.fold_in(self._key, i), self.batches.next()
                self._settle(latest)
                with nullcontext() if self._compiled else compiling(self.net.name):
                    latest, recurrent, sink_bottoms, labels, self.computed, large = self._forward(params, batch, key)
                self._compiled = True
                for k, value in zip(self.net.recurrent_state, recurrent, strict=True):
                    params[k] = self.params[k] = value
                sinks.write(sink_bottoms)
                if self._report and large is not None:
                    self._report(self.net, large)
                label_checks += [labels] if self.net.unchecked_labels else []
                yield latest
            for labels in label_checks:
                self.net.check_labels(labels)

    def scores(self, passes: Iterable[Pass], ap_version: str = "Integral") -> Scores | None:
        """The means of `passes`, or None if there are none. Sums are made on the device, and read once.

        ap_version: how a detector's precisions are averaged. Raises SolverError if an output has no mean.
        """
        count, loss, sums = 0, jnp.float32(0), dict[str, Array]()
        by_detector: dict[str, list[np.ndarray]] = {name: [] for name in self._detections}
        for count, (batch_loss, outputs) in enumerate(passes, 1):  # noqa: B007
            loss = loss + batch_loss
            for name, value in outputs.items():
                if name in by_detector:
                    by_detector[name].append(np.asarray(value))
                elif name in sums and sums[name].shape != value.shape:
                    raise SolverError(
                        f'the output "{name}" has shape {list(value.shape)} in one batch and {list(sums[name].shape)} '
                        "in another, so it has no mean. Give it to a Silence layer."
                    )
                else:
                    sums[name] = sums[name] + value if name in sums else value
        if not count:
            return None
        means = {name: np.asarray(value) / np.float32(count) for name, value in sums.items()}
        precisions = {name: detection_scores.scores(batches, ap_version) for name, batches in by_detector.items()}
        means |= {name: np.asarray(each.mean, np.float32) for name, each in precisions.items()}
        return Scores(float(loss) / count, means, {name: each.of_class for name, each in precisions.items()})

    @cached_property
    def _detections(self) -> list[str]:
        """The names of the outputs that say which detections are right."""
        rows = zip(self.net.layers, self.net.tops, strict=True)
        judges = {v.blob for layer, tops in rows if layer.judges_detections for v in tops}
        return [name for name in self.net.output_names if name in judges]
