"""GradientScaler: passes blobs on, and turns their gradient round (Ganin and Lempitsky 2015)."""

import jax.numpy as jnp

from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer
from engine.ops.replaced_gradient import with_gradient_of


@layer("GradientScaler")
class GradientScaler(Layer):
    """y = x, with the gradient dx = −c · dy: what learns from x then learns what the layers above cannot use.

    c = 2 h / (1 + exp(−alpha · p)) − h + lower_bound with h = upper_bound − lower_bound rises from lower_bound towards
    upper_bound, where p = min(1, t / max_iter) in iteration t, counted from 0. Where no solver trains the net, c = 1.
    With threshold_iter s, as in MADA, c = 0 for t ≤ s and then p = min(1, (t − s) / (s + max_iter)).
    Bottoms and tops: any number, equally many of both; each top may be in place.
    """

    bottoms = (1, None)
    tops = (1, None)
    precision = "given"

    def setup(self, *bottoms: Shape) -> list[Shape]:
        p = self.config.gradient_scaler_param
        if len(self.config.top) != len(bottoms):
            raise self.error(f"it has {len(self.config.top)} tops for its {len(bottoms)} bottoms; give one each.")
        if p.lower_bound > p.upper_bound:
            raise self.error(f"lower_bound is {p.lower_bound:g}, above upper_bound: {p.upper_bound:g}.")
        if p.alpha < 0 or p.max_iter < 1:
            raise self.error(f"alpha is {p.alpha:g} and max_iter {p.max_iter:g}; give 0 or more, and 1 or more.")
        self.lower, self.height, self.alpha = p.lower_bound, p.upper_bound - p.lower_bound, p.alpha
        self.begin = p.threshold_iter if p.HasField("threshold_iter") else None
        self.length = p.max_iter + p.threshold_iter
        self.ask_iteration()
        return list(bottoms)

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        scale = self._scale(params[len(self.params)])
        return [with_gradient_of(x, (-scale).astype(x.dtype) * x) for x in bottoms], {}

    def _scale(self, iteration: Array) -> Array:
        """c in the iteration of this number, counted from 1; 1 for 0."""
        elapsed = iteration - 1 - (self.begin or 0)
        risen = 2 * self.height / (1 + jnp.exp(-self.alpha * jnp.minimum(1, elapsed / self.length))) - self.height
        scale = risen + self.lower
        if self.begin is not None:
            scale = jnp.where(elapsed > 0, scale, 0)
        return jnp.where(iteration > 0, scale, 1)
