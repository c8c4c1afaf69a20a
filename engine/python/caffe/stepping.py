"""Iterations of a solver from Python, whose net programs can observe: by callbacks, hooks or Python layers."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import engine.solver.solver
from engine.layers import python
from engine.solver.loop import Each, Iterations
from engine.solver.step import Carry, StepResult

from .net import Net

Array = jax.Array
Callback = tuple[Callable[[], Any], Callable[[], Any]]
"""on_start, before an iteration's passes; on_gradients_ready, before its update."""


class OpenSolver(engine.solver.solver.Solver):
    """The engine's solver, but it runs an iteration on `view`, its net as programs see it, if a program can observe it.

    Otherwise an iteration is one compiled call, which is faster.
    """

    view: Net
    callbacks: list[Callback]

    @property
    def observed(self) -> bool:
        """Whether callbacks, hooks or Python layers can observe an iteration."""
        of_users = any(isinstance(layer, python.Python) for layer in self.net.layers)
        return bool(self.callbacks or of_users or self.view.hooked)

    def advance(self, carry: Carry, rates: Sequence[np.float32], passes: int | None = None) -> Iterations:
        if not self.observed:
            return super().advance(carry, rates, passes)
        (rate,) = rates
        view, last = self.view, len(self.net.layers) - 1
        view.clear_param_diffs()
        for on_start, _ in self.callbacks:
            on_start()
        loss = 0.0
        for number in range(self.param.iter_size):
            loss += view._forward(0, last, self._drawn_from(number))
            view._backward(last, 0)
        for _, on_gradients_ready in self.callbacks:
            on_gradients_ready()
        params, grads = [blob.value() for blob in view._owned], [blob.gradient() for blob in view._owned]
        new = self.run.apply(Carry(params, carry.history), grads, self.rates(rate, self.iter))
        view.show_update(new.params, new.steps or ())
        result = StepResult(
            params=new.params,
            history=new.history,
            steps=new.steps,
            before=None,
            loss=jnp.float32(loss / self.param.iter_size),
            outputs={name: view.blobs[name].value() for name in view.outputs},
            sinks=[],
            norm=new.norm,
            finite=None,
            values=None,
            debug=None,
            labels=[],
        )
        return Iterations(result, [Each.of(result)])

    def _drawn_from(self, number: int) -> Array:
        """The random key of a pass of the next iteration: the compiled iteration's; each process has its own."""
        key, share = self.pass_key(self.iter, number), self.run.parallel.share
        return jax.random.fold_in(key, share.first) if share.of > 1 else key

    def _show(self, iteration: int, result: StepResult, dropped: int | None) -> None:
        if self.run.parallel.root:  # several processes may share a terminal
            super()._show(iteration, result, dropped)

    def loss_after_training(self) -> float:
        if not self.observed:
            return super().loss_after_training()
        loss = self.view._forward(0, len(self.net.layers) - 1, self._drawn_from(0))
        each = Each(jnp.float32(loss), finite=None, labels=[], sinks=[], norm=np.float32(0))
        return self.averaged_with([each], [blob.value() for blob in self.view._owned])
