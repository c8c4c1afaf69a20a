"""InnerDistance: the distances of features from centres (NormFace, Wang et al. 2017)."""

import logging

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.data.label_bounds import LabelBounds
from engine.graph import fits
from engine.layers.base import Array, Arrays, Context, Layer, Shape, count
from engine.layers.inner_product import unit_rows
from engine.layers.registry import layer

log = logging.getLogger(__name__)

BOTTOMS = "features and centres (N, K), and with update_center_only a label for each feature"


@layer("InnerDistance")
class InnerDistance(Layer):
    """y[m, n] = Σ (x[m] − w[n])², or Σ |x[m] − w[n]| with distance_type "L1", over the axes of x from `axis` on.

    The centres w are a parameter or the second bottom. With `normalize`, each pass first divides the centres of the
    parameter by √(|w|² + 10⁻⁶) and keeps them so. With `update_center_only`, a centre gets its gradient only from the
    features whose label, in the third bottom, is its own.
    Bottoms: x (d0, …, dn); centres (N, K); labels (d0 · … · d(axis−1)).
    Top: y (d0, …, d(axis−1), N). Param, with one bottom: w (num_output, K).
    """

    bottoms = (1, 3)

    def setup(self, x: Shape, *others: Shape) -> list[Shape]:
        p = self.config.inner_distance_param
        axis = self.canonical_axis(p.axis, x)
        features, rows = count(x[axis:]), count(x[:axis])
        if not features:
            raise self.error(f"{self.bottom(0)} has shape {list(x)}; an item must have 1 value or more.")
        if p.transpose or p.distance_type not in ("L1", "L2"):
            raise self.error(
                f'transpose is {str(p.transpose).lower()} and distance_type "{p.distance_type}"; it takes centres as '
                "N × K, and L1 or L2."
            )
        if p.update_center_only != (len(others) == 2):
            raise self.error(
                f"it has {1 + len(others)} bottoms; it takes {BOTTOMS}, or features alone and has its own centres."
            )
        if others and p.normalize:
            log.warning("%s: normalize has no effect on centres from a bottom, only on its own.", self.node.shown)
        if others and count(others[0][1:]) != features:
            raise self.error(f"{self.bottom(1)} has shape {list(others[0])}; {features} values per centre are needed.")
        if len(others) == 2 and count(others[1]) != rows:
            raise self.error(f"{self.bottom(2)} has shape {list(others[1])}; {rows} labels are needed.")
        if not others:
            fits.outputs(self.node, "inner_distance_param", p.num_output)
        self.centres = None if others else self.param("weight", (p.num_output, features), p.weight_filler)
        self.number = others[0][0] if others else p.num_output
        self.absolute, self.features = p.distance_type == "L1", features
        return [(*x[:axis], self.number)]

    def propagates_to(self, bottom: int) -> bool:
        return bottom < 2

    def label_bounds(self) -> dict[int, LabelBounds]:
        return {2: LabelBounds(self.number, layer=self.node.shown)} if len(self.config.bottom) == 3 else {}

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        x = bottoms[0].reshape(-1, self.features)
        w = bottoms[1].reshape(-1, self.features) if self.centres is None else params[self.centres]
        updates = {}
        if self.config.inner_distance_param.normalize and self.centres is not None:
            w, updates[self.centres] = unit_rows(w)
        own = jnp.ones((len(x), len(w)), bool)
        if len(bottoms) == 3:
            own = bottoms[2].reshape(-1, 1).astype(jnp.int32) == jnp.arange(len(w))
        y = absolute(x, w, own) if self.absolute else squared(x, w, own)
        return [y.reshape(self.top_shapes[0])], updates


def squared(x: Array, w: Array, own: Array) -> Array:
    """Σ (x[m] − w[n])² (M, N) for x (M, K) and w (N, K). A centre gets gradient from its `own` (M, N) items only."""

    def distances(x: Array, w: Array) -> Array:
        return jnp.sum(jnp.square(x), -1)[:, None] + jnp.sum(jnp.square(w), -1) - 2 * x @ w.T

    pull = jnp.where(own, distances(stop_gradient(x), w), 0)
    return distances(x, stop_gradient(w)) + (pull - stop_gradient(pull))


@jax.custom_vjp
def absolute(x: Array, w: Array, own: Array) -> Array:
    """Σ |x[m] − w[n]| (M, N); see `squared`.

    The gradient is the fork's, which is not the derivative: for x it is dy where x > w, and −1, whatever dy is, where
    x < w; for w it is the other way round.
    """
    return jnp.sum(jnp.abs(x[:, None] - w[None]), -1)


def _absolute_fwd(x: Array, w: Array, own: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return absolute(x, w, own), (x, w, own)


def _absolute_bwd(saved: tuple[Array, Array, Array], dy: Array) -> tuple[Array, Array, None]:
    x, w, own = saved
    d, of_own = x[:, None] - w[None], own[..., None]
    to_x = jnp.where(d > 0, dy[..., None], 0) - (d < 0)
    to_w = jnp.where(of_own & (d < 0), dy[..., None], 0) - (of_own & (d > 0))
    return jnp.sum(to_x, 1), jnp.sum(to_w, 0), None


absolute.defvjp(_absolute_fwd, _absolute_bwd)
