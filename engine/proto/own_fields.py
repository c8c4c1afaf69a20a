"""Adds the fields of layers from outside the tree to Caffe's schema while it is loaded.

A module of layers declares its fields in the language of .proto files (proto2):

    message MineParameter { optional float alpha = 1 [default = 1]; }
    extend LayerParameter { optional MineParameter mine_param = 70001; }

`extend` names a message of caffe.proto. The fields that it adds are like any other: `mine_param { alpha: 2 }` in text,
`layer.mine_param.alpha` in Python, their numbers in binary files. https://protobuf.dev/programming-guides/proto2/
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor

from engine.errors import PrototxtError
from engine.proto import layer_modules
from engine.proto.layer_modules import LayerModule

NUMBERS = range(70000, 100000)
"""The numbers allowed for fields that are added to Caffe's messages: no fork uses any of them."""

_Field = descriptor_pb2.FieldDescriptorProto
_Message = descriptor_pb2.DescriptorProto
_Enum = descriptor_pb2.EnumDescriptorProto
_File = descriptor_pb2.FileDescriptorProto

_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in (
        *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64"),
        *("sfixed32", "sfixed64", "bool", "string", "bytes"),
    )
}
_LABELS = {name: getattr(_Field, f"LABEL_{name.upper()}") for name in ("optional", "required", "repeated")}
_DEEPEST = 32

_TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | //[^\n]* | /\*.*?\*/ )
  | (?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
  | (?P<word> [-+]? [\w.]+ (?: (?<=\d[eE])[-+]\d+ )? )
  | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def described(serialized: bytes) -> FileDescriptor:
    """caffe.proto, as the compiler has serialized it, plus the fields of the available modules.

    It is built in a pool of its own, since a program may load another caffe_pb2, and a pool accepts each name once.
    Raises PrototxtError, naming module and line, for invalid fields.
    """
    pool = descriptor_pool.DescriptorPool()
    if modules := list(layer_modules.build()):
        serialized = extended(serialized, modules)
    return pool.AddSerializedFile(serialized)


def extended(serialized: bytes, modules: list[LayerModule]) -> bytes:
    """`serialized`, a schema file, with the fields of `modules` added. Raises PrototxtError."""
    for module in modules:
        file = _File.FromString(serialized)
        _Reader(module, file).read()
        serialized = file.SerializeToString()
        try:
            descriptor_pool.DescriptorPool().AddSerializedFile(serialized)
        except TypeError as e:
            words = str(e).removeprefix("Couldn't build proto file into descriptor pool: ")
            raise PrototxtError(f"{module.path}:{module.line}: SCHEMA cannot be used: {words.strip()}.") from e
    return serialized


class _Token(NamedTuple):
    text: str
    line: int


class _Reader:
    """One pass over a module's schema, which adds its declarations to `file`."""

    def __init__(self, module: LayerModule, file: _File) -> None:
        self.module = module
        self.file = file
        self.tokens = list(_tokens(module.schema, module.line))
        self.at = 0
        self.kinds = dict(_kinds(file.message_type, file.enum_type, ""))
        self.caffes = {message.name: message for message in file.message_type}
        self.open: list[tuple[_Field, str, _Token]] = []

    def read(self) -> None:
        while self.at < len(self.tokens):
            word = self.take()
            match word.text:
                case ";":
                    pass
                case "syntax" | "package" | "import":
                    self.skip()
                case "message":
                    self.message(self.file.message_type.add(), "", 0)
                case "enum":
                    self.enum(self.file.enum_type.add(), "")
                case "extend":
                    self.extend()
                case _:
                    raise self.error(word, "is not allowed here: write message, enum or extend")
        for field, scope, word in self.open:
            self.resolve(field, scope, word)

    # Declarations

    def message(self, message: _Message, scope: str, depth: int) -> None:
        name = self.name()
        if depth > _DEEPEST:
            raise self.error(name, "is nested too deep")
        message.name = name.text
        inside = self.declared(name, scope, _Field.TYPE_MESSAGE)
        self.expect("{")
        while (word := self.take()).text != "}":
            match word.text:
                case ";":
                    pass
                case "message":
                    self.message(message.nested_type.add(), inside, depth + 1)
                case "enum":
                    self.enum(message.enum_type.add(), inside)
                case "reserved":
                    self.skip()
                case _:
                    self.field(message, inside, word)

    def enum(self, enum: _Enum, scope: str) -> None:
        name = self.name()
        enum.name = name.text
        self.declared(name, scope, _Field.TYPE_ENUM)
        self.expect("{")
        while (word := self.take()).text != "}":
            if word.text != ";":
                self.expect("=")
                enum.value.add(name=word.text, number=self.number(-(2**31), 2**31 - 1))
                self.expect(";")

    def extend(self) -> None:
        word = self.take()
        target = self.caffes.get(word.text.removeprefix("caffe."))
        if target is None:
            raise self.error(word, "is not a message of Caffe's: extend LayerParameter, or another of caffe.proto")
        by_name = {field.name: field for field in target.field}
        self.expect("{")
        while (label := self.take()).text != "}":
            if label.text == ";":
                continue
            field = self.field(target, "", label)
            if field.name in by_name:
                raise self.error(label, f"{target.name} has a field {field.name} already: give yours another name")
            if label.text == "required":
                raise self.error(label, f"{field.name} cannot be required: nets without it could not be read")
            if field.number not in NUMBERS:
                raise self.error(
                    label, f"{field.name} = {field.number}: take a number from {NUMBERS[0]} to {NUMBERS[-1]}"
                )
            by_name[field.name] = field

    def field(self, holder: _Message, scope: str, label: _Token) -> _Field:
        if label.text not in _LABELS:
            raise self.error(label, "is not allowed here: a field begins with optional, repeated or required")
        kind, name = self.take(), self.name()
        self.expect("=")
        number = self.number(1, 2**29 - 1)
        field = holder.field.add(name=name.text, number=number, label=_LABELS[label.text])
        if kind.text in _SCALARS:
            field.type = _SCALARS[kind.text]
        else:
            field.type_name = kind.text
        self.open.append((field, scope, kind))
        if (mark := self.take()).text == "[":
            self.options(field)
            mark = self.take()
        if mark.text != ";":
            raise self.error(mark, f'stands where the field {name.text} ends: a ";" is missing')
        return field

    def options(self, field: _Field) -> None:
        while True:
            option = self.take()
            self.expect("=")
            value = self.take()
            match option.text:
                case "default":
                    field.default_value = value.text[1:-1] if value.text[0] in "\"'" else value.text
                case "packed":
                    field.options.packed = value.text == "true"
                case "deprecated":
                    field.options.deprecated = value.text == "true"
                case _:
                    raise self.error(option, "is not an option here: a field may have default, packed and deprecated")
            if (mark := self.take()).text == "]":
                return
            if mark.text != ",":
                raise self.error(mark, 'stands where "]" or "," should')

    def resolve(self, field: _Field, scope: str, word: _Token) -> None:
        """Sets the type of a field, whose name is looked up from its own message outwards, and checks its default."""
        if not field.HasField("type"):
            while f"{scope}.{word.text}" not in self.kinds and scope:
                scope = scope.rpartition(".")[0]
            kind = self.kinds.get(f"{scope}.{word.text.removeprefix('caffe.')}")
            if kind is None:
                raise self.error(word, "is not a type: neither a scalar, nor a message of yours or of Caffe's")
            field.type = kind  # type: ignore[assignment]
            field.type_name = f".caffe{scope}.{word.text.removeprefix('caffe.')}"
        if field.HasField("default_value") and not _fits(field):
            raise self.error(word, f'"{field.default_value}" cannot be the default of the field {field.name}')

    # Tokens

    def declared(self, name: _Token, scope: str, kind: int) -> str:
        full_name = f"{scope}.{name.text}"
        if full_name in self.kinds:
            raise self.error(name, "is there already: give yours another name")
        self.kinds[full_name] = kind
        return full_name

    def take(self) -> _Token:
        if self.at == len(self.tokens):
            last = self.tokens[-1] if self.tokens else _Token("", self.module.line)
            raise PrototxtError(f"{self.module.path}:{last.line}: SCHEMA ends too early: is a brace or a ; missing?")
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, text: str) -> None:
        if (token := self.take()).text != text:
            raise self.error(token, f'stands where "{text}" should')

    def name(self) -> _Token:
        token = self.take()
        if not token.text.isidentifier() or not token.text.isascii():
            raise self.error(token, "is not a name")
        return token

    def number(self, least: int, most: int) -> int:
        token = self.take()
        try:
            number = int(token.text, 0)
        except ValueError:
            raise self.error(token, "is not a whole number") from None
        if not least <= number <= most:
            raise self.error(token, f"is not from {least} to {most}")
        return number

    def skip(self) -> None:
        while self.take().text != ";":
            pass

    def error(self, token: _Token, what: str) -> PrototxtError:
        return PrototxtError(f'{self.module.path}:{token.line}: SCHEMA: "{token.text}" {what}.')


def _tokens(text: str, line: int) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "skip":
            yield _Token(match[0], line)
        line += match[0].count("\n")


def _kinds(messages: object, enums: object, scope: str) -> Iterator[tuple[str, int]]:
    """The full names of messages and enums, and which of the two each is."""
    for enum in enums:  # type: ignore[attr-defined]
        yield f"{scope}.{enum.name}", _Field.TYPE_ENUM
    for message in messages:  # type: ignore[attr-defined]
        yield f"{scope}.{message.name}", _Field.TYPE_MESSAGE
        yield from _kinds(message.nested_type, message.enum_type, f"{scope}.{message.name}")


def _fits(field: _Field) -> bool:
    """Whether a field's default is a value of its type, for which it is normalised. protobuf checks those of enums."""
    value = field.default_value
    if field.label == _Field.LABEL_REPEATED or field.type == _Field.TYPE_MESSAGE:
        return False
    if field.type == _Field.TYPE_BOOL:
        return value in ("true", "false")
    if field.type in (_Field.TYPE_STRING, _Field.TYPE_BYTES, _Field.TYPE_ENUM):
        return True
    try:
        number = float(value) if field.type in (_Field.TYPE_FLOAT, _Field.TYPE_DOUBLE) else int(value, 0)
    except ValueError:
        return False
    field.default_value = str(number)
    return True
