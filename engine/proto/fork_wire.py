"""Translates binary nets of Caffe's forks to the field numbers of caffe.proto, and back.

Forks use the same number for different fields. Which fork made a net is inferred from its layers: a field is evidence
for a fork if in that fork it belongs to the layer's type, such as 203 in a PriorBox layer. A field that still cannot be
read as Caffe's field of that number, since it is from an unknown fork, is left out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from engine.proto import caffe_pb2 as pb
from engine.proto.fork_numbers import NUMBERS
from engine.proto.wire import Field, delimited, fields, read_varint, varint

FORKS = tuple(NUMBERS)
"""The forks whose numbers are known."""

_LAYERS: dict[int, Descriptor] = {100: pb.LayerParameter.DESCRIPTOR, 2: pb.V1LayerParameter.DESCRIPTOR}  # type: ignore[dict-item]
"""The fields of a NetParameter that hold layers."""

_TYPE = 2
"""The field of a LayerParameter that holds its type."""

_BLOBS = 7
"""The field of a LayerParameter that holds its parameters."""

_named_by_user: list[str] = []
"""The fork that the user has named, if any."""

_NET: Descriptor = pb.NetParameter.DESCRIPTOR  # type: ignore[assignment]

_OURS = 61001
"""The lowest number of forks' fields in caffe.proto, except in a few messages."""

_OWN = {
    "Normalize": ("norm_param", "normalize_param"),
    "SpatialTransformer": ("st_param",),
    "Lstm": ("lstm_param",),
    "EntropyLoss": ("entropy_param",),
    "MMDLoss": ("mmd_param",),
    "JMMDLoss": ("jmmd_param",),
    "ConvLSTM": ("lstm_conv_param", "lstm_debug_param"),
    "SmoothL1LossOHEM": ("smooth_l1_loss_param",),
    "Correlation1D": ("correlation_param",),
    "CTCGreedyDecoder": ("ctc_decoder_param",),
    "WarpCTCLoss": ("ctc_loss_param",),
    **dict.fromkeys(
        ("DataAugmentation", "FlowAugmentation", "GenerateAugmentationParameters"),
        ("augmentation_param", "coeff_schedule_param"),
    ),
    **dict.fromkeys(("ImgWriter", "FLOWriter", "FloatWriter", "PFMWriter"), ("writer_param",)),
    **dict.fromkeys(("ImgReader", "FloatReader"), ("reader_param",)),
}
"""The blocks of those layer types whose blocks are not named after them."""


@contextmanager
def saying(fork: str | None) -> Iterator[None]:
    """Within the block, binary nets are read and written as those of `fork`, one of FORKS; for None the fork is
    inferred from the layers, as usual."""
    _named_by_user[:] = [fork] if fork else []
    try:
        yield
    finally:
        _named_by_user.clear()


def translated(data: bytes, fork: str | None = None) -> bytes:
    """`data`, a binary NetParameter of `fork`, or of the fork inferred from its layers, with caffe.proto's numbers.

    Raises DecodeError if it is not a message at all.
    """
    maker = fork or next(iter(_named_by_user), None) or _inferred(data)
    if maker is None:
        return data
    return _with_our_numbers(memoryview(data), Field(0, 2, 0, 0, len(data)), _NET, NUMBERS[maker])


def as_forks(data: bytes) -> bytes:
    """`data`, a binary NetParameter of caffe.proto, with the numbers of the fork that has most of the net's fields.

    If `saying` names a fork, it is that one; otherwise only forks count that a reader can infer from the result. A net
    without fields of forks stays as it is.
    """
    bare = _without_blobs(data)
    net = pb.NetParameter.FromString(bare)
    has = Counter(_names(net))
    if not has:
        return data
    covers = {fork: sum(has[name] for name in _named(fork)) for fork in FORKS}
    for fork in _named_by_user or sorted(filter(covers.get, FORKS), key=lambda each: -covers[each]):
        if _named_by_user or pb.NetParameter.FromString(translated(_numbered(bare, fork))) == net:
            return _numbered(data, fork)
    return data


def readable(data: bytes) -> bytes:
    """`data`, a binary NetParameter, without those blocks of its layers that cannot be read as Caffe's message of that
    number. Raises DecodeError if it is not a message at all."""
    parts: list[bytes | memoryview] = []
    for field in fields(data, 0, len(data)):
        layer = _LAYERS.get(field.number) if field.wire == 2 else None
        if layer is None:
            parts.append(data[field.start : field.end])
            continue
        message_class = getattr(pb, layer.name)
        legible = [
            data[inner.start : inner.end]
            for inner in fields(data, field.value, field.end)
            if not _is_block(layer, inner) or _is_read(message_class, data[inner.start : inner.end])
        ]
        value = b"".join(legible)
        parts += delimited(field.number, value)
    return b"".join(parts)


def _names(message: Message) -> Iterator[tuple[str, str]]:
    """The forks' fields that are set in a message, as (message, field), including those in nested messages."""
    for field, value in message.ListFields():
        inside = field.message_type is not None and field.message_type is not pb.BlobProto.DESCRIPTOR
        if field.number >= _OURS:
            yield _form(message.DESCRIPTOR.name), field.name
        for each in (value if field.is_repeated else (value,)) if inside else ():
            yield from _names(each)


@cache
def _named(fork: str) -> frozenset[tuple[str, str]]:
    return frozenset((message, name) for message, names in NUMBERS[fork].items() for name in names)


def _form(message: str) -> str:
    """The name of a message, with both forms of a layer as one, since they have the same fields of forks."""
    return "LayerParameter" if message == "V1LayerParameter" else message


def _without_blobs(data: bytes) -> bytes:
    parts: list[bytes | memoryview] = []
    for field in fields(data, 0, len(data)):
        if field.number != 100 or field.wire != 2:
            parts.append(data[field.start : field.end])
            continue
        inside = fields(data, field.value, field.end)
        value = b"".join(data[each.start : each.end] for each in inside if each.number != _BLOBS)
        parts += delimited(field.number, value)
    return b"".join(parts)


def _numbered(data: bytes, fork: str) -> bytes:
    return _with_forks_numbers(memoryview(data), Field(0, 2, 0, 0, len(data)), _NET, NUMBERS[fork])


def _with_forks_numbers(
    data: memoryview, message: Field, descriptor: Descriptor, numbers: dict[str, dict[str, int]]
) -> bytes:
    """The value of a field that holds a message `descriptor`, with caffe.proto's numbers replaced by a fork's."""
    parts: list[bytes | memoryview] = []
    for field in fields(data, message.value, message.end):
        ours = descriptor.fields_by_number.get(field.number)
        number = _numbers_of(numbers, descriptor.name).get(ours.name, field.number) if ours else field.number
        if ours is not None and field.wire == 2 and _holds_forks(ours.message_type, numbers):
            value = _with_forks_numbers(data, field, ours.message_type, numbers)  # type: ignore[arg-type]
            parts += delimited(number, value)
        elif number == field.number:
            parts.append(data[field.start : field.end])
        else:
            parts += _with_number(data, field, number)
    return b"".join(parts)


def _inferred(data: bytes) -> str | None:
    """The fork with the most evidence in the layers' fields; None if there is no evidence."""
    votes: Counter[str] = Counter()
    for layer in fields(data, 0, len(data)):
        if layer.number != 100 or layer.wire != 2:
            continue
        own = list(fields(data, layer.value, layer.end))
        kind = _kind(data, own)
        for field in own:
            if field.wire == 2 and field.number > 11:
                votes.update(_claims(kind, field.number))
                votes.update(_claims_inside(field.number, tuple(f.number for f in _inside(data, field))))
    return max(votes, key=lambda each: (votes[each], -FORKS.index(each))) if votes else None


@cache
def _claims(kind: str, number: int) -> tuple[str, ...]:
    """The forks in which block `number` belongs to the layer type `kind`."""
    own = _OWN.get(kind) or (_plain(kind),)
    return tuple(
        fork
        for fork, messages in NUMBERS.items()
        if any(at == number and (name in own or _plain(name) in own) for name, at in _numbers_of(messages).items())
    )


def _claims_inside(number: int, inside: tuple[int, ...]) -> list[str]:
    """The forks that define one of the fields `inside` in Caffe's block `number` where Caffe has none so numbered."""
    block = pb.LayerParameter.DESCRIPTOR.fields_by_number.get(number)
    if block is None or block.message_type is None:
        return []
    new = [each for each in inside if each not in block.message_type.fields_by_number]
    return [
        fork for fork, messages in NUMBERS.items() if set(new) & set(messages.get(block.message_type.name, {}).values())
    ]


def _kind(data: bytes | memoryview, layer: Iterable[Field]) -> str:
    """The type of a layer."""
    types = (bytes(data[f.value : f.end]).decode(errors="replace") for f in layer if f.number == _TYPE and f.wire == 2)
    return next(types, "")


def _plain(name: str) -> str:
    return name.removesuffix("_param").replace("_", "").lower()


def _numbers_of(messages: dict[str, dict[str, int]], name: str = "LayerParameter") -> dict[str, int]:
    """The fork's numbers of a message's fields, which are the same for both forms of a layer."""
    return messages.get(_form(name), {})


def _with_our_numbers(
    data: memoryview, message: Field, descriptor: Descriptor, numbers: dict[str, dict[str, int]]
) -> bytes:
    """The value of a field that holds a message `descriptor`, with a fork's numbers replaced by caffe.proto's."""
    theirs = {
        number: descriptor.fields_by_name[name]
        for name, number in _numbers_of(numbers, descriptor.name).items()
        if name in descriptor.fields_by_name
    }
    kind = _kind(data, fields(data, message.value, message.end)) if descriptor.name == "LayerParameter" else ""
    parts: list[bytes | memoryview] = []
    for field in fields(data, message.value, message.end):
        target = theirs.get(field.number)
        ours = descriptor.fields_by_number.get(field.number)
        if target is not None and ours is not None and _plain(ours.name) == _plain(kind):
            target = None  # Caffe's own block that is named after the layer
        target = target or ours
        if target is None or (target.number == field.number and not _holds_forks(target.message_type, numbers)):
            parts.append(data[field.start : field.end])
        elif field.wire == 2 and target.message_type is not None:
            value = _with_our_numbers(data, field, target.message_type, numbers)
            parts += delimited(target.number, value)
        else:
            parts += _with_number(data, field, target.number)
    return b"".join(parts)


def _with_number(data: memoryview, field: Field, number: int) -> tuple[bytes, memoryview]:
    """A field with another number."""
    _, behind = read_varint(data, field.start, field.end)
    return varint(number << 3 | field.wire), data[behind : field.end]


def _holds_forks(descriptor: Descriptor | None, numbers: dict[str, dict[str, int]]) -> bool:
    """Whether a message, or one nested in it, has fields that the fork numbers differently."""
    return descriptor is not None and descriptor.name in _reaching(frozenset(numbers))


@cache
def _reaching(names: frozenset[str]) -> frozenset[str]:
    """The messages that are among `names`, or contain one that is."""
    reaching = set(names) | ({"V1LayerParameter"} if "LayerParameter" in names else set())
    while True:
        containers = {
            message.name
            for message in pb.DESCRIPTOR.message_types_by_name.values()
            if any(field.message_type is not None and field.message_type.name in reaching for field in message.fields)
        }
        if containers <= reaching:
            return frozenset(reaching)
        reaching |= containers


def _is_block(layer: Descriptor, field: Field) -> bool:
    """Whether a layer's field is a block of settings. Arrays are the same in all forks, and so are never left out."""
    descriptor = layer.fields_by_number.get(field.number)
    return field.wire == 2 and descriptor is not None and descriptor.message_type not in (None, pb.BlobProto.DESCRIPTOR)


def _is_read(message: Callable[[], Message], data: bytes) -> bool:
    try:
        message().ParseFromString(data)
    except DecodeError:
        return False
    return True


def _inside(data: bytes, field: Field) -> list[Field]:
    """The fields of a field's value; empty if it is not a message."""
    try:
        return list(fields(data, field.value, field.end))
    except DecodeError:
        return []
