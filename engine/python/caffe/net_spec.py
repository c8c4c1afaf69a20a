"""`caffe.layers`, `caffe.params`, `caffe.NetSpec`: nets written as Python expressions.

    n = caffe.NetSpec()
    n.data, n.label = L.Data(source="mnist_train_lmdb", backend=P.Data.LMDB, batch_size=64, ntop=2)
    n.ip = L.InnerProduct(n.data, num_output=10, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.ip, n.label)
    print(n.to_proto())

A layer is a function of its bottoms that returns its top, or a tuple of `ntop` tops. Keywords set fields of the layer's
own configuration (`num_output`) or, failing that, of the layer (`param`, `loss_weight`, `transform_param`).
`in_place=True` gives the top the bottom's name.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import Message

from engine import suggest
from engine.errors import NetError
from engine.proto import caffe_pb2 as pb


class FieldError(NetError, AttributeError):
    """A keyword or name that matches no field, top or message. Also an AttributeError, which protobuf raises."""


def param_name_dict() -> dict[str, str]:
    """For each type, the layer field with its configuration, without `_param`: {"Convolution": "convolution", …}."""
    return {
        f.message_type.name.removesuffix("Parameter"): f.name.removesuffix("_param")
        for f in pb.LayerParameter.DESCRIPTOR.fields
        if f.name.endswith("_param") and f.message_type is not None
    }


def assign_proto(proto: Message, name: str, val: Any) -> None:
    """Sets the field `name` of a message: a dict fills a message field by field, a list fills a repeated field.

    An empty dict sets nothing, as in Caffe. A single value for a repeated field becomes a list of one. An integer field
    accepts whole floats, because `/` gives floats in Python 3 where it gave integers in Python 2. Raises FieldError if
    there is no such field, TypeError or ValueError for a value that it cannot hold.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise FieldError(_no_field(proto, name))
    try:
        if field.is_repeated:
            _extend(getattr(proto, name), val, whole=_whole(field))
        elif isinstance(val, Mapping) and field.message_type:
            _fill(getattr(proto, name), val)
        elif isinstance(val, Message):
            getattr(proto, name).CopyFrom(val)
        else:
            setattr(proto, name, _plain(val, whole=_whole(field)))
    except FieldError:
        raise
    except (TypeError, ValueError, AttributeError) as e:
        kind = ValueError if isinstance(e, ValueError) else TypeError
        raise kind(f"{proto.DESCRIPTOR.name}: {name} = {val!r}: {e}") from e


class Top:
    """One output of a layer, which other layers take as a bottom."""

    def __init__(self, fn: "Function", n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> pb.NetParameter:
        """The net of all layers that this top needs, named by type and number."""
        return to_proto(self)


class Function:
    """A layer: its type, its bottoms (Tops of other layers), its fields and its `tops`."""

    def __init__(self, type_name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
        for index, bottom in enumerate(inputs):
            if not isinstance(bottom, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(bottom)})")
        self.type_name = type_name
        self.inputs = inputs
        self.params = dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        if self.in_place and len(inputs) < max(self.ntop, 1):
            raise NetError(
                f"{type_name}: in_place gives tops the names of bottoms, but there are {len(inputs)} bottoms for "
                f"{self.ntop} tops."
            )
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def layer(self, bottoms: list[str], tops: list[str], name: str) -> pb.LayerParameter:
        """The layer as a message. Raises what assign_proto raises."""
        message = pb.LayerParameter(type=self.type_name, bottom=bottoms, top=tops, name=name)
        own = _param_names.get(self.type_name)
        for key, value in self.params.items():
            config = getattr(message, f"{own}_param") if own and not key.endswith("param") else None
            if config is not None and key in config.DESCRIPTOR.fields_by_name:
                assign_proto(config, key, value)
            elif key in message.DESCRIPTOR.fields_by_name:
                assign_proto(message, key, value)
            else:
                raise FieldError(
                    f"L.{self.type_name}: {_no_field(message if config is None else config, key)}{_way(key)}"
                )
        return message


def to_proto(*tops: Top | Function) -> pb.NetParameter:
    """The net of all layers that these tops need, named by type and number: ReLU1, ReLU2, …"""
    return _Names().net(tops)


class NetSpec:
    """A net whose layers and blobs have the names to which they are assigned: `n.conv1 = L.Convolution(…)`.

    Names that are not Python identifiers are assigned by `n["conv/1"] = …`.
    """

    tops: dict[str, Any]

    def __init__(self) -> None:
        object.__setattr__(self, "tops", {})

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        # copy and pickle look up attributes before __init__, when there is no `tops` yet.
        tops = self.__dict__.get("tops", {})
        if name not in tops:
            raise FieldError(f'this net has no top "{name}"; it has {", ".join(tops) or "none"}.')
        return tops[name]

    def __delattr__(self, name: str) -> None:
        getattr(self, name)
        del self.tops[name]

    def __setitem__(self, key: str, value: Any) -> None:
        self.tops[key] = value

    def __getitem__(self, item: str) -> Any:
        return self.tops[item]

    def __contains__(self, item: str) -> bool:
        return item in self.tops

    # Methods of SSD's NetSpec, with which its scripts build nets.

    def keys(self) -> list[str]:
        """The names of the tops, in the order of assignment."""
        return list(self.tops)

    def vals(self) -> list[Any]:
        """The tops, in that order."""
        return list(self.tops.values())

    def update(self, name: str, params: Mapping[str, Any]) -> None:
        """Adds fields to the layer that makes top `name`. Raises FieldError."""
        top = self[name] if name in self else getattr(self, name)
        (top.fn if isinstance(top, Top) else top).params.update(params)

    def to_proto(self) -> pb.NetParameter:
        """The net of all layers that the assigned tops need."""
        for name, top in self.tops.items():
            if not isinstance(top, Top | Function):
                raise TypeError(f"{name} is not the top of a layer (type is {type(top)})")
        return _Names({top: name for name, top in self.tops.items()}).net(self.tops.values())


class Layers:
    """`layers.TYPE(bottom, …, field=…)` makes a layer and returns its top.

    With `ntop` above 1 it returns a tuple of tops, with `ntop=0` the Function.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # looked up by Python and inspection tools
            raise AttributeError(name)

        def layer_fn(*args: Any, **kwargs: Any) -> Any:
            fn = Function(name, args, kwargs)
            return fn if fn.ntop == 0 else fn.tops[0] if fn.ntop == 1 else fn.tops

        return layer_fn


class Parameters:
    """`params.Pooling.MAX`: gives access to the constants of PoolingParameter and other messages."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        message = getattr(pb, f"{name}Parameter", None)
        if message is None:
            raise FieldError(f"caffe.proto has no message {name}Parameter.")
        return message


class _Names:
    """Assigns names to tops and layers while a net is written: the given ones, and generated ones for the others."""

    def __init__(self, names: Mapping[Any, str] | None = None) -> None:
        self._of: dict[Any, str] = dict(names or {})
        self._count: Counter[str] = Counter()
        self._layers: dict[Function, pb.LayerParameter] = {}

    def net(self, tops: Any) -> pb.NetParameter:
        for top in tops:
            for fn in _needed(top.fn if isinstance(top, Top) else top, self._layers):
                self._layers[fn] = self._layer(fn)
        return pb.NetParameter(layer=self._layers.values())

    def _layer(self, fn: Function) -> pb.LayerParameter:
        bottoms = [self._layers[bottom.fn].top[bottom.n] for bottom in fn.inputs]
        tops = bottoms if fn.in_place else [self._name(top, fn) for top in fn.tops]
        return fn.layer(bottoms, tops, self._name(fn.tops[0] if fn.tops else fn, fn))

    def _name(self, of: Top | Function, fn: Function) -> str:
        # A layer has the name of its first top; without tops, the name to which it was assigned or a generated one.
        if of not in self._of:
            self._count[fn.type_name] += 1
            self._of[of] = f"{fn.type_name}{self._count[fn.type_name]}"
        return self._of[of]


def _needed(fn: Function, done: Mapping[Function, Any]) -> Iterator[Function]:
    """The layers that `fn` needs and that are not `done`, each after its own bottoms, and `fn` last.

    Not recursive: nets may be deep.
    """
    seen = {fn}
    stack = [(fn, iter(fn.inputs))]
    while stack:
        current, bottoms = stack[-1]
        for bottom in bottoms:
            if bottom.fn not in done and bottom.fn not in seen:
                seen.add(bottom.fn)
                stack.append((bottom.fn, iter(bottom.fn.inputs)))
                break
        else:
            stack.pop()
            if current not in done:
                yield current


def _fill(proto: Message, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        assign_proto(proto, key, value)


def _extend(repeated: Any, val: Any, *, whole: bool) -> None:
    for item in val if isinstance(val, list | tuple | np.ndarray) else (val,):
        if isinstance(item, Mapping):
            _fill(repeated.add(), item)
        else:
            repeated.append(_plain(item, whole=whole))


def _plain(value: Any, *, whole: bool) -> Any:
    """Converts numpy numbers to Python's, which protobuf accepts everywhere; `whole`: whole floats to integers."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        value = value.item()
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _whole(field: Any) -> bool:
    """Whether a field holds integers."""
    return field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)


def _no_field(proto: Message, name: str) -> str:
    return (
        f'{proto.DESCRIPTOR.name} has no field "{name}".{suggest.did_you_mean(name, proto.DESCRIPTOR.fields_by_name)}'
    )


def _way(key: str) -> str:
    """A hint if another of the layer's messages has the field: SoftmaxWithLoss's `normalize` is in loss_param."""
    others = [
        f.name
        for f in pb.LayerParameter.DESCRIPTOR.fields
        if f.name.endswith("_param") and f.message_type and key in f.message_type.fields_by_name
    ]
    return f" These of the layer's messages have it: {', '.join(others)}; {others[0]}=dict({key}=…)." if others else ""


_param_names = param_name_dict() | {"Deconvolution": "convolution", "Im2col": "convolution"}
layers = Layers()
params = Parameters()
