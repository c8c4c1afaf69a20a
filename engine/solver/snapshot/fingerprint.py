"""The configuration that must not change for a resumed run to continue the one that wrote the snapshot."""

import hashlib
from typing import Any

from engine.errors import SnapshotError
from engine.layers.base import Layer, SourceLayer
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb


def of(param: pb.SolverParameter, net: Net, devices: int = 1) -> dict[str, Any]:
    """The solver's type, iter_size, the number of devices, the data's shapes, and a digest of each layer that is not a
    source; as JSON values.

    The data's location is left out: it may have moved.
    """
    return {
        "type": param.type,
        "iter_size": param.iter_size,
        "devices": devices,
        "data": {
            v.blob: list(net.shapes[v])
            for layer, tops in zip(net.layers, net.tops, strict=True)
            if isinstance(layer, SourceLayer)
            for v in tops
        },
        "layers": {layer.name: _digest(layer) for layer in net.layers if not isinstance(layer, SourceLayer)},
    }


def check(then: dict[str, Any], now: dict[str, Any], path: str) -> None:
    """Raises SnapshotError naming every difference, if there is any."""
    changes = list(differences(then, now))
    if changes:
        raise SnapshotError(
            f"{path}: the run was set up differently: {'; '.join(changes)}. Set it up as before, or pass -changed to "
            "continue with these changes (parameters are kept where they fit)."
        )


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A phrase for each difference, such as `type was SGD and is Adam`."""
    then = {"devices": 1, **then}  # earlier versions had one device, and did not write it
    names = ("type", "iter_size", "devices")
    parts = [f"{name} was {then[name]} and is {now[name]}" for name in names if then[name] != now[name]]
    for what in ("data", "layers"):
        for name in then[what] | now[what]:
            a, b = then[what].get(name), now[what].get(name)
            thing = f'"{name}"' if what == "data" else f'layer "{name}"'
            if a is None:
                parts.append(f"{thing} is new")
            elif b is None:
                parts.append(f"{thing} is gone")
            elif a != b:
                parts.append(f"{thing} was of shape {a} and is {b}" if what == "data" else f"{thing} has changed")
    return parts


def _digest(layer: Layer) -> str:
    weights = b"" if layer.class_weights is None else layer.class_weights.tobytes()
    return hashlib.sha256(layer.config.SerializeToString(deterministic=True) + weights).hexdigest()[:16]
