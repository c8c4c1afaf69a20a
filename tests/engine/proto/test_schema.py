"""The schema is Caffe's: schema.tsv lists every field and enum value of BVLC Caffe 1.0's caffe.proto.

Fields of our own and of Caffe's forks have numbers that Caffe has not, or are in messages that it has not.
"""

import csv
import ctypes
import pickle
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FieldDescriptor

from engine.proto import caffe_pb2 as pb

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in vars(FieldDescriptor)
    if name.startswith("TYPE_")
}


@cache
def table():
    with (HERE / "schema.tsv").open(encoding="utf-8") as file:
        return {tuple(row.values()) for row in csv.DictReader(file, delimiter="\t")}


OWN_NUMBERS = 60001


def is_own(row):
    """Whether a field or a value is none of Caffe's: its number, or its message or enum, is one that Caffe has not."""
    return int(row[3]) >= OWN_NUMBERS or row[1] not in {known[1] for known in table()}


def test_generated_module_has_every_field_of_caffe_and_no_other_but_our_own():
    assert {row for row in generated_rows() if not is_own(row)} == table()


def generated_rows():
    rows = set()
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        rows |= message_rows(message)
    for enum in pb.DESCRIPTOR.enum_types_by_name.values():
        rows |= enum_rows(enum)
    return rows


def message_rows(message):
    rows = {field_row(message, field) for field in message.fields}
    for enum in message.enum_types:
        rows |= enum_rows(enum)
    for nested in message.nested_types:
        rows |= message_rows(nested)
    return rows


def enum_rows(enum):
    return {("enum", enum.full_name, value.name, str(value.number), "", "", "", "") for value in enum.values}


def field_row(message, field):
    label = "repeated" if field.is_repeated else "required" if field.is_required else "optional"
    kind = (field.message_type or field.enum_type).full_name if field.message_type or field.enum_type else None
    packed = "packed" if field.GetOptions().packed else ""
    return (
        "field",
        message.full_name,
        field.name,
        str(field.number),
        label,
        kind or TYPES[field.type],
        default(field),
        packed,
    )


def default(field):
    if field.is_repeated or not field.has_default_value:
        return ""
    if field.enum_type:
        return field.enum_type.values_by_number[field.default_value].name
    return repr(field.default_value)


def test_caffe_proto_says_what_the_generated_module_does():
    """Fails where caffe.proto was changed and scripts/gen_proto was not run, or the module was changed by hand."""
    assert set(proto_rows()) == {(*row[:5], row[5].rpartition(".")[2], *row[6:]) for row in generated_rows()}


def proto_rows():
    """The rows of caffe.proto's text, with the last part of a type's name, as it is written there."""
    scope = ["caffe"]
    for line in (ROOT / "engine/proto/caffe.proto").read_text(encoding="utf-8").splitlines():
        code = line.partition("//")[0].strip()
        if opened := re.fullmatch(r"(?:message|enum) (\w+) \{", code):
            scope.append(opened[1])
        elif code == "}":
            scope.pop()
        elif field := re.fullmatch(r"(optional|required|repeated) ([\w.]+) (\w+) = (\d+)(?: \[(.*)\])?;", code):
            label, kind, name, number, options = field.groups()
            value = re.search(r'default = "?([^"]*)"?', options or "")
            packed = "packed" if "packed = true" in (options or "") else ""
            yield (
                "field",
                ".".join(scope),
                name,
                number,
                label,
                kind.rpartition(".")[2],
                as_python(kind, value[1]) if value else "",
                packed,
            )
        elif value := re.fullmatch(r"(\w+) = (\d+);", code):
            yield "enum", ".".join(scope), value[1], value[2], "", "", "", ""
        else:
            assert code in ("", 'syntax = "proto2";', "package caffe;"), line


def as_python(kind, value):
    match kind:
        case "bool":
            return value.capitalize()
        case "float":
            return repr(ctypes.c_float(float(value)).value)
        case "string":
            return repr(value)
    return value


def test_generated_module_is_what_the_compiler_makes():
    pytest.importorskip("grpc_tools", reason="needs the protobuf compiler: pip install grpcio-tools==1.76.0")
    check = subprocess.run([ROOT / "scripts/gen_proto", "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr


def test_a_program_may_have_a_schema_of_its_own_by_the_same_names():
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    file.message_type.add(name="BlobShape").field.add(name="forked", number=1, label=1, type=5)
    theirs = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    assert "forked" in theirs.message_types_by_name["BlobShape"].fields_by_name
    assert "forked" not in pb.BlobShape.DESCRIPTOR.fields_by_name


def test_messages_are_pickled_for_other_processes():
    net = pb.NetParameter(name="mine")
    assert pickle.loads(pickle.dumps(net)) == net
