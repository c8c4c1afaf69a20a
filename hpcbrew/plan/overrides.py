"""`--set KEY=VALUE`: sets a solver field from the command line."""

import json
import re
from collections.abc import Iterable

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import raw_bytes, text
from engine.suggest import did_you_mean
from hpcbrew.errors import RequestError

_FIELDS = pb.SolverParameter.DESCRIPTOR.fields_by_name


def split(assignment: str) -> tuple[str, str]:
    """Splits `KEY=VALUE` in two. Raises RequestError if there is no `=` or nothing before it."""
    key, sign, value = assignment.partition("=")
    if not sign or not key.strip():
        raise RequestError(f"--set {assignment}: write KEY=VALUE, as in --set base_lr=0.001")
    return key.strip(), value.strip()


def apply(solver: pb.SolverParameter, assignments: Iterable[tuple[str, str]]) -> pb.SolverParameter:
    """Returns a copy of `solver` with each field set in turn; a repeated field takes values separated by commas.

    Raises RequestError naming the key, the value and what is allowed.
    """
    copy = pb.SolverParameter()
    copy.CopyFrom(solver)
    for key, value in assignments:
        field = _FIELDS.get(key) if key.isascii() else None
        if field is None:
            raise RequestError(f"--set {key}={value}: a solver has no field {key!r}.{did_you_mean(key, _FIELDS, repr)}")
        if field.message_type is not None:
            raise RequestError(f"--set {key}={value}: {key} is a message, not a value; write it in the solver file")
        values = value.split(",") if field.is_repeated else [value]
        if "," in value and not field.is_repeated and field.cpp_type != field.CPPTYPE_STRING:
            raise RequestError(
                f"--set {key}={value}: {key} takes a single value. To train with each of these: hpcbrew sweep SOLVER "
                f"--set {key}={value}"
            )
        if field.cpp_type == field.CPPTYPE_STRING:
            values = [json.dumps(raw_bytes.kept(v), ensure_ascii=False) for v in values]
        try:
            message = text.parse("\n".join(f"{key}: {v}" for v in values), pb.SolverParameter, f"--set {key}={value}")
        except PrototxtError as error:
            raise RequestError(re.sub(r"^(.*?):\d+(?=: )", r"\1", str(error), count=1, flags=re.DOTALL)) from None
        if message.ListFields()[1:]:
            raise RequestError(f"--set {key}={value}: this sets more than {key}")
        copy.ClearField(key)
        copy.MergeFrom(message)
    return copy
