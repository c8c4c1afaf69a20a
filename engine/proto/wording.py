"""The words for each kind of mistake in a prototxt: what was found, what is allowed, what to write."""

from google.protobuf import text_encoding
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from engine import suggest
from engine.proto import caffe_pb2 as pb
from engine.proto import fork_fields, forks
from engine.proto.tokens import OPENERS, Token

_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_BOOLS = ("true", "false", "True", "False", "t", "f", "0", "1")
_FILES = {pb.NetParameter.DESCRIPTOR: "a net", pb.SolverParameter.DESCRIPTOR: "a solver"}
_LAYERS = {pb.LayerParameter.DESCRIPTOR: "layer", pb.V1LayerParameter.DESCRIPTOR: "layers"}


def stray(token: Token) -> str:
    """The message for a `token` that stands where a field must begin."""
    if token.text in OPENERS.values():
        return f'"{token.text}" closes nothing: there is one too many, here or further up.'
    if token.text in OPENERS:
        return f'"{token.text}" opens a block that has no name.'
    if token.kind in ("string", "number"):
        return f"{token.text} stands alone: a value comes after the name of its field and a colon."
    return f'"{token.text}" was found where a field must begin.'


def unknown_field(name: str, descriptor: Descriptor, block: str) -> str:
    """The message for a `name` that is not a field of `block`, of the type `descriptor`; an empty `block` stands for
    the whole file."""
    return f'"{name}" is not a field of {block or _FILES.get(descriptor, descriptor.name)}{_instead(name, descriptor)}.'


_LISTS = {"device_id": " Several GPUs: caffe train -gpu 0,1, or hpcbrew submit --gpus-per-node 2."}
"""What to do instead of giving a list, by field: in temporal segment networks, device_id is a list."""


def wrong_value(name: str, field: FieldDescriptor, value: Token) -> str | None:
    """What is wrong with `value` for `field`; None if nothing is."""
    if value.text in OPENERS or (value.text == "[" and not field.is_repeated):
        what = "is not a block" if value.text in OPENERS else "takes one value, and a list was found"
        return f'"{name}" {what}. Write {name}: {example(field)}.{_LISTS.get(name, "") if value.text == "[" else ""}'
    if value.kind == "quote":
        return f"the quotation mark before {value.text[1:21]} is not closed in its line."
    if field.enum_type is not None:
        return _wrong_enum(name, field, value)
    if field.type in _INTEGERS:
        return _wrong_integer(name, field, value)
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return _wrong_string(name, value)
    if field.type == FieldDescriptor.TYPE_BOOL:
        right, kind = value.text in _BOOLS, "true or false"
    else:
        right, kind = value.kind == "number" and _is_float(value.text), "a number"
    return None if right else f'"{name}" is {kind}, and {value.text} was found.'


def of_fork(value: Token) -> bool:
    """Whether a value that is not in its enum belongs to a fork."""
    return value.kind == "word" and value.text in forks.V1_TYPES.keys() | forks.VALUES.keys()


def example(field: FieldDescriptor) -> str:
    """A value that `field` may have."""
    if field.enum_type is not None:
        return field.enum_type.values[0].name
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return '"…"'
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "true"
    return "1" if field.type in _INTEGERS else "0.1"


def _instead(name: str, descriptor: Descriptor) -> str:
    """The end of a message about an unknown field `name`: where it belongs, or which fields there are instead."""
    if fork := fork_fields.owner(descriptor.name, name):
        return f". It belongs to {fork}, a fork of Caffe"
    elsewhere = [file for each, file in _FILES.items() if name in each.fields_by_name]
    if descriptor in _FILES and elsewhere:
        return f". It is one of {elsewhere[0]}; perhaps this is the wrong file"
    forms = [form for each, form in _LAYERS.items() if name in each.fields_by_name]
    if descriptor in _LAYERS and forms:
        return f'. It is one of "{forms[0]}": the two forms do not mix inside a block'
    if near := suggest.closest(name, descriptor.fields_by_name, 3, cutoff=0.7):
        return f". Nearest: {', '.join(near)}"
    blocks = {field.name: field.message_type for field in descriptor.fields if field.message_type}
    if inside := [block for block, holds in blocks.items() if name in holds.fields_by_name]:
        return f". It belongs inside one of its blocks: {', '.join(inside)}"
    return f", whose fields are: {', '.join(descriptor.fields_by_name)}" if len(descriptor.fields) <= 20 else ""


def _wrong_enum(name: str, field: FieldDescriptor, value: Token) -> str | None:
    assert field.enum_type is not None
    allowed = field.enum_type.values_by_name
    if value.text in allowed or (value.kind == "number" and _integer(value.text) in field.enum_type.values_by_number):
        return None
    bare = value.text.strip("\"'")
    if value.kind == "string" and bare in allowed:
        return f'"{name}" is {bare} without quotation marks.'
    if field.containing_type is pb.V1LayerParameter.DESCRIPTOR and value.kind == "string":
        return f'{value.text} is a type of "layer"; a "layers" block (old form) has types such as CONVOLUTION.'
    if field.containing_type is pb.V1LayerParameter.DESCRIPTOR and bare in forks.V1_TYPES:
        return f'"{name}" {bare} belongs to {forks.V1_TYPES[bare]}, a fork of Caffe.'
    if bare in forks.VALUES:
        return f'"{name}" is one of {", ".join(allowed)}; {bare} belongs to {forks.VALUES[bare]}, a fork of Caffe.'
    near = suggest.closest(bare.upper(), allowed) if len(allowed) > 4 else []
    hint = f" Nearest: {near[0]}." if near else ""
    return f'"{name}" is one of {", ".join(allowed)}, and {value.text} was found.{hint}'


def _wrong_string(name: str, value: Token) -> str | None:
    if value.kind != "string":
        return f'"{name}" is text and needs quotation marks: {name}: "{value.text}".'
    try:
        text_encoding.CUnescape(value.text[1:-1])
    except ValueError:
        return f'the value of "{name}", {value.text}, has an invalid backslash sequence. Write a backslash as \\\\.'
    return None


def _wrong_integer(name: str, field: FieldDescriptor, value: Token) -> str | None:
    low, high = _INTEGERS[field.type]
    number = _integer(value.text) if value.kind == "number" else None
    if number is not None and low <= number <= high:
        return None
    return f'"{name}" is a whole number from {low} to {high}, and {value.text} was found.'


def _integer(text: str) -> int | None:
    """The value of a decimal, hexadecimal (0x1f) or octal (017) integer; None if `text` is not one."""
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
    try:
        return int(text, 8 if octal else 0)
    except ValueError:
        return None


def _is_float(text: str) -> bool:
    try:
        float(text.lower().removesuffix("f") if "inf" not in text.lower() else text)
    except ValueError:
        return text.lower().lstrip("+-") in ("inff", "infinityf", "nanf")
    return True
