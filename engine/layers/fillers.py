"""Initial values of parameters, by Caffe's definitions.

They are drawn on the host from a counter-based generator (Philox), which needs no compilation and gives the same
numbers on every device.
"""

import math
from collections.abc import Callable

import numpy as np

from engine.errors import NetError
from engine.graph import fits
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]
Filler = Callable[[pb.FillerParameter, Shape, np.random.Generator], np.ndarray]


def generator(seed: int, stream: int) -> np.random.Generator:
    """The random generator of parameter number `stream` in a net with this `seed` (any integer)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed % 2**64, stream])))


def check(filler: pb.FillerParameter, shape: Shape) -> None:
    """Raises NetError if `fill` would, without filling anything."""
    if complaint := fits.wrong_filler(filler, shape):
        raise NetError(complaint)


def fill(filler: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Returns a float32 array of `shape`. Raises NetError for a type that is unknown or does not fit the shape."""
    check(filler, shape)
    if 0 in shape:
        return np.zeros(shape, np.float32)
    filled = FILLERS[filler.type](filler, shape or (1,), rng)  # a single number counts as one output of one input
    return np.asarray(filled, np.float32, order="C").reshape(shape)


def _normal(shape: Shape, rng: np.random.Generator, mean: float, std: float) -> np.ndarray:
    x = rng.standard_normal(shape, dtype=np.float32)
    x *= np.float32(std)
    x += np.float32(mean)
    return x


def _uniform_between(shape: Shape, rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    x = rng.random(shape, dtype=np.float32)
    x *= np.float32(high - low)
    x += np.float32(low)
    return x


def constant(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """`value` everywhere."""
    return np.full(shape, f.value, np.float32)


def uniform(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """U(min, max)."""
    return _uniform_between(shape, rng, f.min, f.max)


def gaussian(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """N(mean, std²); with `sparse` s ≥ 0, each weight is kept with probability s / shape[0] and otherwise set to 0."""
    x = _normal(shape, rng, f.mean, f.std)
    if f.sparse >= 0:
        x *= rng.random(shape, dtype=np.float32) < f.sparse / shape[0]
    return x


def positive_unitball(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """U(0, 1), scaled so that the weights of each output (axis 0) sum to 1."""
    x = rng.random(shape, dtype=np.float32)
    return x / x.reshape(shape[0], math.prod(shape[1:])).sum(axis=1).reshape(-1, *[1] * (len(shape) - 1))


def xavier(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """U(−a, a) with a = √(3/n), n by `variance_norm` (Glorot and Bengio 2010)."""
    a = math.sqrt(3 / _fan(f, shape))
    return _uniform_between(shape, rng, -a, a)


def msra(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """N(0, 2/n), n by `variance_norm` (He et al. 2015)."""
    return _normal(shape, rng, 0.0, math.sqrt(2 / _fan(f, shape)))


def bilinear(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Weights of bilinear interpolation for a Deconvolution that upsamples; the same for every channel."""
    tent = _tent(shape[3])
    return np.broadcast_to(np.outer(tent, tent), shape)


def bilinear_3d(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """The same for volumes, 3D-Caffe's bilinear_3D: the product of one kernel along each of three axes."""
    tent = _tent(shape[4])
    return np.broadcast_to(np.einsum("i,j,k", tent, tent, tent), shape)


def diagonal(f: pb.FillerParameter, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """FlowNet's: output n is the mean of input n under the kernel times diag_val[n], or times 1 beyond the last."""
    x = np.zeros((*shape, *[1] * (4 - len(shape))), np.float32)
    count = min(x.shape[:2])
    values = [*f.diag_val, *[1.0] * count][:count]
    x[range(count), range(count)] = np.reshape(values, (-1, 1, 1)) / math.prod(x.shape[2:])
    return x


def _tent(size: int) -> np.ndarray:
    factor = math.ceil(size / 2)
    centre = (2 * factor - 1 - factor % 2) / (2 * factor)
    return 1 - np.abs(np.arange(size) / factor - centre)


def _fan(f: pb.FillerParameter, shape: Shape) -> float:
    """Caffe's n: fan-in (count / shape[0]), fan-out (count / shape[1]), or the mean of the two."""
    count = math.prod(shape)
    fan_in = count / shape[0]
    fan_out = count / shape[1] if len(shape) > 1 else count
    return {
        pb.FillerParameter.FAN_IN: fan_in,
        pb.FillerParameter.FAN_OUT: fan_out,
        pb.FillerParameter.AVERAGE: (fan_in + fan_out) / 2,
    }[f.variance_norm]


FILLERS: dict[str, Filler] = {
    "constant": constant,
    "uniform": uniform,
    "gaussian": gaussian,
    "positive_unitball": positive_unitball,
    "xavier": xavier,
    "msra": msra,
    "bilinear": bilinear,
    "bilinear_3D": bilinear_3d,
    "diagonal": diagonal,
}
