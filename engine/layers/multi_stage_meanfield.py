"""MultiStageMeanfield: the mean-field iterations of a random field as a layer (CRF-RNN, Zheng et al. 2015)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from engine.graph import random_fields
from engine.layers.base import Array, Arrays, Context, Layer, ParamDecl, Shape
from engine.layers.registry import layer
from engine.ops import permutohedral_lattice
from engine.ops.pixel_features import colours, places
from engine.ops.rounded import divided
from engine.proto import caffe_pb2 as pb


class _Weights(NamedTuple):
    """Class weights (C, C) of the spatial and of the bilateral filter, and the compatibility of classes (C, C)."""

    spatial: Array
    bilateral: Array
    compatibility: Array


@layer("MultiStageMeanfield")
class MultiStageMeanfield(Layer):
    """Iterates q ← u − μ (W_s f_s(softmax q) + W_b f_b(softmax q)) num_iterations times, for scores u at each position.

    f_s is a Gaussian filter with standard deviation theta_gamma in position; f_b one with theta_alpha in position and
    theta_beta in colour. Both are normalised by the sum of their weights. Training and testing use the same number of
    iterations. The image gets no gradient.
    Bottoms: u (N, C, H, W); the initial q, of the same shape; the image (N, 3, H, W), of which further channels are
    ignored. Top: q, of u's shape: scores, not probabilities.
    Params: W_s, W_b, μ, of shape (1, 1, C, C). Initially, the diagonals of W_s and W_b are those in spatial.par and
    bilateral.par, or in the fields that replace these files, and that of μ is −1. (In the fork of 2015, a scanf for
    doubles puts the values elsewhere in single-precision nets.)
    """

    bottoms = (3, 3)

    def setup(self, scores: Shape, start: Shape, picture: Shape) -> list[Shape]:
        random_fields.mean_field(self.node, scores, start, picture)
        p = self.config.multi_stage_meanfield_param
        self.alpha, self.beta, self.gamma, self.rounds = p.theta_alpha, p.theta_beta, p.theta_gamma, p.num_iterations
        for name, values in random_fields.diagonals(self.node, scores[1]).items():
            shape = (1, 1, scores[1], scores[1])
            self.check_size(f"its {name}", shape)
            diagonal = np.diag(np.asarray(values, np.float32)).reshape(shape)
            self.params.append(ParamDecl(name, shape, pb.FillerParameter(), value=diagonal))
        return [scores]

    def propagates_to(self, bottom: int) -> bool:
        return bottom < 2

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        scores, start, picture = bottoms
        n, classes, rows, columns = scores.shape
        weights = _Weights(*(w.reshape(classes, classes) for w in params))
        if not scores.size:
            return [scores]
        spatial = permutohedral_lattice.built(divided(places(rows, columns, scores.dtype), self.gamma))

        def field(one: tuple[Array, Array, Array]) -> Array:
            u, q, pixels = one
            near = divided(places(rows, columns, scores.dtype), self.alpha)
            bilateral = permutohedral_lattice.built(
                jnp.concatenate([near, divided(colours(pixels), self.beta)], axis=1)
            )
            return self._iterated(weights, (spatial, bilateral), u, q)

        def flat(x: Array) -> Array:
            return x.reshape(n, classes, rows * columns).swapaxes(1, 2)

        q = lax.map(field, (flat(scores), flat(start), lax.stop_gradient(picture)))
        return [q.swapaxes(1, 2).reshape(scores.shape)]

    def _iterated(
        self,
        weights: _Weights,
        filters: tuple[permutohedral_lattice.Filter, permutohedral_lattice.Filter],
        u: Array,
        q: Array,
    ) -> Array:
        """Returns the final q (P, C), given the scores u (P, C) of an image's P positions and the initial q (P, C)."""

        def iteration(q: Array, _: None) -> tuple[Array, None]:
            p = jax.nn.softmax(q, axis=1)
            near, alike = (permutohedral_lattice.smoothed(f, p) for f in filters)
            message = near @ weights.spatial.T + alike @ weights.bilateral.T
            return u - message @ weights.compatibility.T, None

        return lax.scan(iteration, q, length=self.rounds)[0]
