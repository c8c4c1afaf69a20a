"""Data parallelism: several devices train one net, on one node or several.

The semantics are Caffe's (docs/multigpu.md): each device has its own batch, of the size in the net's definition;
statistics are those of that batch; gradients are averaged. The first device, the root, tests, writes snapshots and
reports. With several nodes, each runs one process, which reads HPCBREW_COORDINATOR (host:port of the first node),
HPCBREW_NODES (their number) and HPCBREW_RANK (its own).
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as Spec

from engine.data.feed import Share
from engine.data.pixels import Pixels
from engine.data.source import Batch
from engine.devices import rendezvous
from engine.errors import DeviceError
from engine.job_contract import Variable
from engine.layers.base import Shape
from engine.net.net import Net
from engine.ops.pixels import finished

Array = jax.Array

S = TypeVar("S")

AXIS = "device"
EACH: Any = Spec(AXIS)
SAME: Any = Spec()
"""How values are distributed over the devices: EACH has its own, in an array with an axis of devices in front; or all
have the SAME."""

TRANSPORT = re.compile("gloo|nccl|coordination service", re.IGNORECASE)
"""The names of the transports in errors from computations that processes do together."""

PATIENCE = 30
"""The heartbeat timeout in seconds, after which a silent node counts as lost."""


def join() -> None:
    """Joins the other nodes of a job if the environment names several. To be called before any computation.

    Raises DeviceError if the environment makes no sense, or the nodes don't find each other.
    """
    coordinator = os.environ.get(Variable.COORDINATOR)
    if not coordinator:
        return
    nodes, rank = (_number(name) for name in (Variable.NODES, Variable.RANK))
    if not rank < nodes:
        raise DeviceError(f"{Variable.RANK} is {rank}, but {Variable.NODES} is {nodes}: ranks count from 0.")
    rendezvous.meet(coordinator, nodes, rank)
    try:
        with _without_proxies():
            jax.distributed.initialize(
                coordinator,
                nodes,
                rank,
                cluster_detection_method="deactivate",  # a launcher, if detected, would give each process one device
                heartbeat_timeout_seconds=PATIENCE,
                shutdown_timeout_seconds=PATIENCE,
            )
    except (RuntimeError, ValueError) as e:
        raise DeviceError(
            f"node {rank} of {nodes} did not find the others at {coordinator}: {str(e).splitlines()[0]}"
        ) from e


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Hides proxy settings: they are for connections out of the cluster, but nodes would use them for each other."""
    names = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy")]
    proxies = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(proxies)


def _number(name: str) -> int:
    value = os.environ.get(name, "")
    if not value.isdecimal():
        raise DeviceError(f"{Variable.COORDINATOR} is set, but {name} is {value!r}; it must be a number.")
    return int(value)


class DataParallel:
    """The devices that train together. A single device needs no communication, and computes as without this class.

    count: the number of devices. root: whether this process has the first one. nodes: the number of processes. share:
    the batches that this process reads.
    """

    def __init__(self, devices: Sequence[jax.Device] = ()) -> None:
        self.count = max(1, len(devices))
        self.share, self.root, self.nodes = Share(), True, 1
        if self.count == 1:
            return
        devices = sorted(devices, key=lambda d: (d.process_index, d.id))
        process = jax.process_index()
        ours = [i for i, device in enumerate(devices) if device.process_index == process]
        self.share = Share(ours[0], len(ours), self.count)
        self.root, self.nodes = ours[0] == 0, len({device.process_index for device in devices})
        self._local = [devices[i] for i in ours]
        self._mesh = jax.sharding.Mesh(np.asarray(devices), (AXIS,))
        self._max = jax.jit(self.mapped(lambda x: jax.lax.pmax(x, AXIS), (EACH,), SAME))
        self._sum = jax.jit(self.mapped(lambda x: jax.lax.psum(x, AXIS), (EACH,), SAME))
        self._everywhere = jax.jit(self.mapped(lambda x: jax.lax.all_gather(x, AXIS), (EACH,), SAME))

    @classmethod
    def one_of(cls, count: int, rank: int) -> "DataParallel":
        """One device in each of `count` processes, whose creator combines their gradients."""
        parallel = cls()
        parallel.share, parallel.root = Share(rank, 1, count), rank == 0
        return parallel

    def check(self, net: Net) -> None:
        """Raises LayerError if there are several devices, and a layer cannot be trained on them."""
        for layer in net.layers if self.count > 1 else ():
            if layer.single_device_reason:
                raise layer.error(
                    f"it {layer.single_device_reason}, but {self.count} devices would train it: use one, -gpu 0."
                )

    @contextmanager
    def naming_lost_nodes(self) -> Iterator[None]:
        """Raises DeviceError if another node was lost, so that a computation of all nodes fails."""
        try:
            yield
        except (jax.errors.JaxRuntimeError, ValueError) as e:  # JAX raises either for an error of the transport
            if self.nodes == 1 or not TRANSPORT.search(str(e)):
                raise
            raise DeviceError(
                f"another of the {self.nodes} nodes ended or was lost, and this one cannot go on without it: that "
                f"node's log may say why. Resume from the last snapshot. ({str(e).splitlines()[0]})"
            ) from e

    # To the devices and back

    def place(self, batches: Sequence[Batch]) -> dict[str, Array]:
        """Puts one batch onto each device of this process, in their order."""
        if self.count == 1:
            return {top: _made(value) for top, value in jax.device_put(batches[0]).items()}
        return {top: self._dealt([batch[top] for batch in batches]) for top in batches[0]}

    def params(self, net: Net, values: Sequence[Any]) -> list[Array]:
        """The net's parameters on the devices: the same on every one, except that each has its own recurrent state.

        values: host values or arrays. Recurrent state is one value for all devices, or one per device.
        """
        return [self._param(net, k, value) for k, value in enumerate(values)]

    def history(self, net: Net, states: Sequence[S]) -> list[S]:
        """What an update rule remembers of each parameter (a pytree), distributed like that parameter."""
        return [jax.tree.map(partial(self._param, net, k), state) for k, state in enumerate(states)]

    def _param(self, net: Net, k: int, value: Any) -> Array:
        """A value of the shape of the net's parameter number `k`, distributed like it."""
        return self.each_own(value, net.params[k].shape) if k in net.recurrent_state else self.same(value)

    def same(self, value: Any) -> Array:
        """`value` on every device."""
        if self.count == 1 or _placed(value):
            return _put(value)
        value = np.asarray(value)
        return jax.make_array_from_callback(value.shape, NamedSharding(self._mesh, SAME), lambda index: value[index])

    def each_own(self, value: Any, shape: Shape) -> Array:
        """Recurrent state of that shape on every device. value: one for all, or one per device; if its size is another,
        the state is zeros."""
        if self.count == 1 or _placed(value):
            return _put(value)
        value = np.asarray(value, np.float32)
        if value.shape != (self.count, *shape):
            value = np.broadcast_to(value if value.shape == shape else np.float32(0), (self.count, *shape))
        return jax.make_array_from_callback(value.shape, NamedSharding(self._mesh, EACH), lambda index: value[index])

    def zeros(self, shapes: Sequence[Shape]) -> list[Array]:
        """Zeros of each shape; every device has its own."""
        if self.count == 1:
            arrays: list[Array] = _zeros(tuple(shapes))
            return arrays
        return [self.each_own(0, shape) for shape in shapes]

    def own(self, values: Any) -> Any:
        """Arrays that are the same on every device, as arrays on only this process's first device."""
        return jax.tree.map(lambda x: x.addressable_data(0), values) if self.count > 1 else values

    def first(self, values: Any) -> Any:
        """From arrays with one value per device, the values of this process's first device."""
        return jax.tree.map(lambda x: x.addressable_data(0)[0], values) if self.count > 1 else values

    def here(self, value: Array) -> list[np.ndarray]:
        """From an array with one value per device, the values of this process's devices."""
        return [np.asarray(s.data)[0] for s in value.addressable_shards] if self.count > 1 else [np.asarray(value)]

    def gathered(self, value: Array) -> np.ndarray:
        """The recurrent state of every device, on the host. All processes must call this together."""
        if self.nodes > 1:
            value = self._everywhere(value)
        return np.asarray(value)

    # Agreement between processes: all of them must call these together

    def broadcast(self, *numbers: int) -> list[int]:
        """The numbers that the root's process passed."""
        if self.nodes == 1:
            return list(numbers)
        return [int(n) for n in np.asarray(self._sum(self._flags([n if self.root else 0 for n in numbers])))]

    def all_reduce_max(self, number: int) -> Array:
        """The largest of the numbers that the processes passed; does not wait for it."""
        largest: Array = self._max(self._flags([number]))
        return largest[0]

    def _flags(self, numbers: Sequence[int]) -> Array:
        """The numbers on this process's first device, zeros on its others."""
        rows = [np.asarray(numbers, np.int32), *[np.zeros(len(numbers), np.int32)] * (self.share.count - 1)]
        return self._dealt(rows)

    def _dealt(self, parts: Sequence[np.ndarray | Pixels]) -> Array:
        """An array with an axis of devices in front, from one part for each device of this process."""
        placed = [_row(part, device) for part, device in zip(parts, self._local, strict=True)]
        shape = (self.count, *placed[0].shape[1:])
        return jax.make_array_from_single_device_arrays(shape, NamedSharding(self._mesh, EACH), placed)

    # In compiled functions

    def mapped(self, function: Callable[..., Any], arguments: Any, returned: Any) -> Callable[..., Any]:
        """`function`, to run on every device. arguments, returned: EACH or SAME for each of them."""
        if self.count == 1:
            return function

        def on_device(*args: Any) -> Any:
            values = function(*_each(arguments, args, lambda x: x[0]))
            return _each(returned, values, lambda x: x[None])

        # check_vma is off so that gradients are averaged only where this file says so.
        return jax.shard_map(on_device, mesh=self._mesh, in_specs=arguments, out_specs=returned, check_vma=False)

    def partition_specs(self, net: Net) -> list[Any]:
        """How the net's parameters are distributed: EACH or SAME for each."""
        return [EACH if k in net.recurrent_state else SAME for k in range(len(net.params))]

    def key(self, key: Array) -> Array:
        """A random key that differs between devices."""
        return jax.random.fold_in(key, jax.lax.axis_index(AXIS)) if self.count > 1 else key

    def mean(self, value: Array) -> Array:
        """The mean over the devices."""
        return jax.lax.pmean(value, AXIS) if self.count > 1 else value

    def root_has(self, values: Any) -> Any:
        """The root's values, on every device."""
        if self.count == 1:
            return values
        root = jax.lax.axis_index(AXIS) == 0
        return jax.tree.map(lambda x: jax.lax.psum(jnp.where(root, x, jnp.zeros_like(x)), AXIS), values)

    def everywhere(self, value: Array) -> Array:
        """Whether `value` holds on every device, element by element."""
        return jax.lax.pmin(value.astype(jnp.int32), AXIS) == 1 if self.count > 1 else value


def _put(value: Any) -> Array:
    """`jnp.asarray`, without compiling a program for each shape as that does."""
    return value if isinstance(value, Array) else jax.device_put(np.asarray(value), may_alias=False)


def _made(value: Any) -> Array:
    """A batch's value on a device. Pictures whose transformation was left to the device are finished here."""
    array: Array = finished(value) if isinstance(value, Pixels) else value
    return array


def _row(part: np.ndarray | Pixels, device: jax.Device) -> Array:
    """A part of a batch on its device, with an axis of devices in front. Unless the device finishes the value, the host
    adds that axis, at no cost."""
    if isinstance(part, Pixels):
        return _made(jax.device_put(part, device))[None]
    row: Array = jax.device_put(part[None], device)
    return row


def _placed(value: Any) -> bool:
    return isinstance(value, Array) and isinstance(value.sharding, NamedSharding)


def _each(partition_specs: Any, values: Any, change: Callable[[Array], Array]) -> Any:
    """`values`, with `change` applied to those of which each device has its own."""

    def part(spec: Spec, below: Any) -> Any:
        return jax.tree.map(change, below) if spec == EACH else below

    return jax.tree.map(part, partition_specs, values, is_leaf=lambda x: isinstance(x, Spec))


@partial(jax.jit, static_argnums=0)
def _zeros(shapes: Sequence[Shape]) -> list[Array]:
    """Zeros of all shapes in one call: a call for each would take as long as a small layer."""
    return [jnp.zeros(shape, jnp.float32) for shape in shapes]
