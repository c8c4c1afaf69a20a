"""MultiStageMeanfield: a random field's mean-field iterations as a layer (CRF-RNN, Zheng et al. 2015)."""

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
    """(C, C) each: of the spatial filter's and the bilateral one's classes, and how classes get on."""

    spatial: Array
    bilateral: Array
    compatibility: Array


@layer("MultiStageMeanfield")
class MultiStageMeanfield(Layer):
    """q ← u − μ (W_s f_s(softmax q) + W_b f_b(softmax q)), num_iterations times, for the scores u of each place.

    f_s weighs places by a Gaussian of deviation theta_gamma; f_b by one of deviation theta_alpha in place and of
    theta_beta in colour; each by the sum of its weights. Training and test have the same number of iterations. There is
    no gradient for the picture.
    Bottoms: u (N, C, H, W); q to begin with, of that shape; the picture (N, 3, H, W), whose further channels, if any,
    do not count. Top: q, of u's shape: scores, no probabilities.
    Params: W_s, W_b, μ, of shape (1, 1, C, C): what spatial.par and bilateral.par, or the fields instead of them, give
    on the diagonals, and −1 on μ's. (In the fork of 2015 a scanf for doubles puts them elsewhere in nets of floats.)
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
        """(P, C) for the scores u (P, C) of a picture's P places, from q (P, C) on."""

        def iteration(q: Array, _: None) -> tuple[Array, None]:
            p = jax.nn.softmax(q, axis=1)
            near, alike = (permutohedral_lattice.smoothed(f, p) for f in filters)
            message = near @ weights.spatial.T + alike @ weights.bilateral.T
            return u - message @ weights.compatibility.T, None

        return lax.scan(iteration, q, length=self.rounds)[0]
