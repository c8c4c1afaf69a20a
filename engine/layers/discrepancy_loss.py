"""How far apart the features of two domains are, by sampled pairs: MMDLoss, JMMDLoss (Long et al. 2015 and 2017)."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, Shape, count, rows
from engine.layers.loss import Loss
from engine.layers.registry import layer
from engine.ops.picked_rows import pick
from engine.ops.replaced_gradient import with_gradient_of
from engine.proto import caffe_pb2 as pb

T = TypeVar("T")


class Pairs(NamedTuple):
    """Numbers of rows: of two source items and of two target items, for each sample."""

    s1: Array
    s2: Array
    t1: Array
    t2: Array


def pairs(key: Array, source: int, target: int) -> Pairs:
    """As many samples as the larger domain has items. The two items of a domain differ, if it has more than one."""
    samples, keys = max(source, target), jax.random.split(key, 4)
    s1, s2 = (jax.random.randint(k, (samples,), 0, source) for k in keys[:2])
    t1, t2 = (jax.random.randint(k, (samples,), 0, target) for k in keys[2:])
    return Pairs(s1, jnp.where(s1 == s2, (s2 + 1) % source, s2), t1, jnp.where(t1 == t2, (t2 + 1) % target, t2))


def gamma(source: Array, target: Array) -> Array:
    """The inverse of the mean squared distance between two different rows of both domains; no gradient."""
    x = stop_gradient(jnp.concatenate([source, target]))
    n = len(x)
    return (n * n - n) / (2 * n * jnp.sum(jnp.square(x - jnp.mean(x, 0))))


def kernels(distance: Array, gamma: Array, number: int, factor: float) -> Array:
    """Σ exp(−γ_k d) for `number` γ_k, each `factor` times the one before, with γ in the middle (after it, if even)."""
    return sum((jnp.exp(-gamma * factor ** (k - number // 2) * distance) for k in range(number)), jnp.zeros(()))


def discrepancy(kernel: Callable[[T, T], Array], s1: T, s2: T, t1: T, t2: T) -> Array:
    """How much more alike the sampled items are within the domains than between them."""
    return kernel(s1, s2) + kernel(t1, t2) - kernel(s1, t2) - kernel(s2, t1)


class _Discrepancy(Loss):
    def check_domains(self, source: Shape, target: Shape, first: int = 0) -> None:
        """Raises LayerError unless the items of both domains, bottoms `first` and the next, have as many values."""
        if not (source and target and source[0] and target[0]) or count(source[1:]) != count(target[1:]):
            raise self.error(
                f"{self.bottom(first)} has shape {list(source)} and {self.bottom(first + 1)} {list(target)}; give 1 "
                "item or more of each domain, all with as many values."
            )

    def read_kernels(self, p: pb.MMDParameter | pb.JMMDParameter) -> None:
        self.check_kernels(p.kernel_num, p.kernel_mul)
        self.number, self.factor, self.fixed = p.kernel_num, p.kernel_mul, p.fix_gamma
        if self.fixed:
            self.remember("gamma", ())

    def check_kernels(self, number: int, factor: float) -> None:
        if number < 1 or factor <= 0:
            raise self.error(f"it has {number} kernels and a factor of {factor:g}; 1 or more, and above 0, are needed.")

    def propagates_to(self, bottom: int) -> bool:
        return True

    def bandwidth(self, params: Arrays, source: Array, target: Array) -> Array:
        """γ; with fix_gamma that of the first pass, which the layer remembers."""
        now = gamma(source, target)
        if not self.fixed:
            return now
        first = params[len(self.params)]
        return jnp.where(first > 0, first, now)


@layer("MMDLoss")
class MMDLoss(_Discrepancy):
    """Σ k(s1, s2) + k(t1, t2) − k(s1, t2) − k(s2, t1) over `pairs` of items, of rows x and y of both domains.

    k(x, y) = Σ exp(−γ_k |x − y|²) over kernel_num kernels, whose γ_k differ by the factor kernel_mul. γ follows from
    each batch, or with fix_gamma from the first. The gradient is that of the value divided by the number of samples; it
    is 0 if a domain has a single item, and leaves γ out. The fork computes it on GPUs only, and draws other pairs for
    the gradient than for the value. Bottoms: source (Ns, …), target (Nt, …).
    """

    def setup(self, source: Shape, target: Shape) -> list[Shape]:
        self.check_domains(source, target)
        self.read_kernels(self.config.mmd_param)
        return [()]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        source, target = (rows(x) for x in bottoms)
        g, drawn = self.bandwidth(params, source, target), pairs(ctx.key, len(source), len(target))

        def kernel(x: Array, y: Array) -> Array:
            return jnp.sum(kernels(jnp.sum(jnp.square(x - y), 1), g, self.number, self.factor))

        items = (source, source, target, target)
        value = discrepancy(kernel, *(pick(x, n) for x, n in zip(items, drawn, strict=True)))
        slope = value / len(drawn.s1) if min(len(source), len(target)) > 1 else stop_gradient(value)
        return [with_gradient_of(value, slope)], {len(self.params): g} if self.fixed else {}


@layer("JMMDLoss")
class JMMDLoss(_Discrepancy):
    """Like MMDLoss, for features x and predictions p of an item together: the kernel is k(x, x') · l(p, p').

    l(p, p') = Σ exp(−|p − p'|² / σ_k) over label_kernel_num kernels; σ is `sigma` or, with auto_sigma, the mean of
    |p − p'|² over as many random pairs as there are items. The gradient by p is as if all σ_k were σ. The value is 0,
    as in the fork, which computes on GPUs only. Bottoms: x of source and of target, p of source and of target.
    """

    bottoms = (4, 4)

    def setup(self, source: Shape, target: Shape, of_source: Shape, of_target: Shape) -> list[Shape]:
        p = self.config.jmmd_param
        self.check_domains(source, target)
        self.check_domains(of_source, of_target, 2)
        self.read_kernels(p)
        self.check_kernels(p.label_kernel_num, p.label_kernel_mul)
        if (source[0], target[0]) != (of_source[0], of_target[0]):
            raise self.error(
                f"it has {source[0]} and {target[0]} items with features, {of_source[0]} and {of_target[0]} with "
                "predictions; give each item both."
            )
        if p.sigma <= 0 and not p.auto_sigma:
            raise self.error(f"sigma is {p.sigma:g}; give one above 0, or auto_sigma: true.")
        self.labels, self.label_factor = p.label_kernel_num, p.label_kernel_mul
        self.sigma = None if p.auto_sigma else p.sigma
        return [()]

    def apply(self, params: Arrays, bottoms: Arrays, ctx: Context) -> tuple[list[Array], dict[int, Array]]:
        xs, xt, ps, pt = (rows(x) for x in bottoms)
        g, drawn = self.bandwidth(params, xs, xt), pairs(ctx.key, len(xs), len(xt))
        sigma = jnp.float32(self.sigma) if self.sigma else self._sigma(ctx.key, ps, pt)

        def kernel(one: tuple[Array, Array], other: tuple[Array, Array]) -> Array:
            dx, dp = (jnp.sum(jnp.square(a - b), 1) for a, b in zip(one, other, strict=True))
            alike = kernels(dp, 1 / sigma, self.labels, 1 / self.label_factor)
            alike = with_gradient_of(alike, -stop_gradient(alike) / sigma * dp)
            return jnp.sum(kernels(dx, g, self.number, self.factor) * alike)

        items = ((xs, ps), (xs, ps), (xt, pt), (xt, pt))
        value = discrepancy(kernel, *((pick(x, n), pick(p, n)) for (x, p), n in zip(items, drawn, strict=True)))
        slope = value / len(drawn.s1) if min(len(xs), len(xt)) > 1 else jnp.zeros(())
        return [with_gradient_of(jnp.zeros(()), slope)], {len(self.params): g} if self.fixed else {}

    def _sigma(self, key: Array, source: Array, target: Array) -> Array:
        stacked = stop_gradient(jnp.concatenate([source, target]))
        drawn = pairs(jax.random.fold_in(key, 1), len(stacked), len(stacked))
        return jnp.mean(jnp.sum(jnp.square(pick(stacked, drawn.s1) - pick(stacked, drawn.s2)), 1))
