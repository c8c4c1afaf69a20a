"""Reads and prints prototxt, protobuf's text format. Errors say where the mistake is, and what to write instead."""

import codecs
import ctypes
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import text_encoding, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from engine import suggest
from engine.errors import PrototxtError
from engine.host import atomic_file, regular_file
from engine.printable import printable
from engine.proto import caffe_pb2 as pb
from engine.proto import diagnose, layer_names, lenient, mixed, raw_bytes, tokens, upgrade
from engine.proto.upgrade import v0, v1

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

LARGEST = 1 << 24
"""The most bytes of text that are parsed: some twenty times the largest nets, and half a minute of parsing."""

PROTOTXTS = "*.prototxt"

_INLINE_NETS = ("net_param", "train_net_param", "test_net_param")
"""The fields of a solver that hold a net."""


def read(path: str | Path, message_class: type[M]) -> M:
    """The message in the text file `path`. Raises PrototxtError naming the file, the line and the field."""
    return parse(load(path), message_class, str(path))


def parse(text: str, message_class: type[M], name: str = "<string>") -> M:
    """The message that `text` contains. `name`: the name of the file in errors. Raises PrototxtError."""
    message = message_class()
    if lenient.QUESTION in text:
        text = lenient.respelt(text)
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        if (respelt := lenient.respelt(text)) != text:
            return parse(respelt, message_class, name)
        if message_class is pb.NetParameter:
            modern, notices = mixed.modernise(text)
            if modern != text:
                message = parse(modern, message_class, name)
                for line, notice in notices:
                    log.warning("%s:%d: %s", name, line, notice)
                return message
        mistakes = _mistakes(text, message_class) or [str(error)]
        raise PrototxtError("\n".join(f"{name}:{printable(what, one_line=True)}" for what in mistakes)) from error
    return _complete(message, text, name)


def read_net(path: str | Path) -> pb.NetParameter:
    """The net that `path` defines, upgraded to today's form. Notices of what was changed are logged as warnings.
    Raises PrototxtError."""
    return upgrade.bring_up(read(path, pb.NetParameter), path)


def read_solver(path: str | Path) -> pb.SolverParameter:
    """The solver that `path` defines, upgraded to today's form. Notices and errors are as in `read_net`."""
    return upgrade.bring_up(read(path, pb.SolverParameter), path)


def write(path: str | Path, message: Message) -> None:
    """Writes `message` to `path` in text format, whole or not at all. Raises PrototxtError."""
    with atomic_file.writing(path, PrototxtError):
        atomic_file.replace(path, format(message).encode())


def load(path: str | Path) -> str:
    """The text in the file `path`. Raises PrototxtError if it is missing or not text.

    Bytes that are not UTF-8, which old files have in comments and names, are kept as `raw_bytes` describes.
    """
    file = Path(path)
    try:
        data = regular_file.read(file, LARGEST, pipes=True)
    except FileNotFoundError:
        raise PrototxtError(f"{path}: no such file.{suggest.beside(file, PROTOTXTS)}") from None
    except IsADirectoryError:
        raise PrototxtError(
            f"{path}: is a folder, and a prototxt file is needed.{suggest.beside(file / 'x', PROTOTXTS)}"
        ) from None
    except OSError as error:
        raise PrototxtError(f"{path}: cannot be read: {error.strerror}.") from error
    if not data.strip():
        raise PrototxtError(f"{path}: is empty.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PrototxtError(f"{path}: is text in UTF-16. Save it as UTF-8.")
    if b"\0" in data:
        raise PrototxtError(
            f"{path}: holds binary data, and text is needed. A .caffemodel or .solverstate goes where weights or "
            "snapshots are asked for."
        )
    return raw_bytes.decoded(data.removeprefix(codecs.BOM_UTF8))


def layer_lines(path: str | Path) -> list[tuple[str, int]]:
    """The name and line of each layer in the net file `path`, in the file's order; "" for a layer without a name.

    Of a solver: those in the nets that it holds, without the names that several of these have.
    """
    return _layer_lines(load(path))


def format(message: Message) -> str:
    """`message` in text format, as C++ protobuf prints it and Caffe logs it: fields in the order of their numbers,
    floats with 6 digits if these reproduce the float32, otherwise with 9."""
    return "".join(_lines(message, ""))


def _mistakes(text: str, message_class: type[Message]) -> list[str]:
    """What is wrong with a text that does not parse, each with its line. Unknown layer types are reported along with
    unknown fields, since the net would be refused for them next."""
    problems, rest = diagnose.find(text, message_class)
    mistakes = [(problem.line, str(problem)) for problem in problems]
    if message_class is pb.NetParameter:
        mistakes += _lacking(rest)
    return [f"{line}: {words}" for line, words in sorted(mistakes, key=lambda each: each[0])]


def _lacking(text: str) -> list[tuple[int, str]]:
    """The unsupported layer types and fields of forks that the net in `text` uses, with the line of the layer. Empty
    for a text that does not parse."""
    net = pb.NetParameter()
    try:
        text_format.Parse(text, net)
        v0.upgrade(net)
        v1.upgrade(net)
    except (text_format.ParseError, PrototxtError):
        return []
    lines = _layer_lines(text)
    if len(lines) != len(net.layer):  # layers given as a [ list ]
        return []
    types = {"", *layer_names.known()}  # "": a type that was dropped because it is a mistake itself
    messages: dict[str, tuple[int, str]] = {}
    for layer, (_, line) in zip(net.layer, lines, strict=True):
        for name, words in layer_names.lacking(layer, types):
            messages.setdefault(name, (line, f'layer "{layer.name}" ({layer.type}): {words}'))
    return list(messages.values())


def _complete(message: M, text: str, name: str) -> M:
    """`message`. Raises PrototxtError if a required field is missing."""
    missing = message.FindInitializationErrors()  # type: ignore[attr-defined]
    if missing:
        layer = re.match(r"layer\[(\d+)\]\.", missing[0])
        where = f"{name}:{_layer_lines(text)[int(layer[1])][1]}" if layer else name
        raise PrototxtError(f"{where}: {missing[0].rpartition('].')[2]} must be given.")
    return message


def _layer_lines(text: str) -> list[tuple[str, int]]:
    all_tokens = tokens.tokenize(text)
    nets = [block for name, _, _, block in tokens.fields(all_tokens) if name.text in _INLINE_NETS and block]
    if not nets:
        return list(_lines_of_net(all_tokens))
    by_net = [list(_lines_of_net(all_tokens, *block)) for block in nets]
    holders = Counter(name for net in by_net for name in {name for name, _ in net})
    return [(name, line) for net in by_net for name, line in net if holders[name] == 1]


def _lines_of_net(all_tokens: list[tokens.Token], *block: int) -> Iterator[tuple[str, int]]:
    for name, _, _, layer in tokens.fields(all_tokens, *block):
        if name.text in ("layer", "layers") and layer:
            yield _layer_name(all_tokens, *layer), name.line


def _layer_name(all_tokens: list[tokens.Token], start: int, stop: int) -> str:
    for name, values, _, block in tokens.fields(all_tokens, start, stop):
        if name.text == "name" and values:
            return "".join(value.text[1:-1] for value in values)
        if name.text == "layer" and block:
            return _layer_name(all_tokens, *block)
    return ""


def _lines(message: Message, indent: str) -> Iterator[str]:
    for field, value in message.ListFields():
        for each in value if field.is_repeated else (value,):
            if field.message_type is None:
                yield f"{indent}{field.name}: {_scalar(field, each)}\n"
            else:
                yield f"{indent}{field.name} {{\n"
                yield from _lines(each, indent + "  ")
                yield f"{indent}}}\n"


def _scalar(field: FieldDescriptor, value: Any) -> str:
    if field.enum_type is not None:
        enum_value = field.enum_type.values_by_number.get(value)
        return enum_value.name if enum_value else str(value)
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _shortest(value, field.type == FieldDescriptor.TYPE_DOUBLE)
        case str() | bytes():
            raw = value if isinstance(value, bytes) else raw_bytes.encoded(value)
            return f'"{text_encoding.CEscape(raw, as_utf8=False)}"'
    return str(value)


def _shortest(value: float, double: bool) -> str:
    """`value` with as few digits as C++ protobuf uses."""
    rounded, few, enough = (ctypes.c_double, 15, 17) if double else (ctypes.c_float, 6, 9)
    short = f"{value:.{few}g}"
    return short if math.isnan(value) or rounded(float(short)).value == value else f"{value:.{enough}g}"
