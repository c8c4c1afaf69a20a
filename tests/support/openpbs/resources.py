"""-l: the resources that a job asks for, as one string and as the chunks placed on nodes."""

import re
from typing import Any

from support.openpbs.config import Config
from support.openpbs.errors import BAD_VALUE, OVER_LIMIT, UNKNOWN_RESOURCE, Refused

NUMBERS = {"ncpus", "ngpus", "mpiprocs", "ompthreads", "nodect"}
SIZES = {"mem": 2**10, "vmem": 2**10, "pmem": 2**10, "pvmem": 2**10, "file": 2**10}
DURATIONS = {"walltime", "cput", "pcput"}
TEXTS = {"select", "place", "nodes", "arch", "host", "vnode"}
UNITS = {"b": 0, "kb": 1, "mb": 2, "gb": 3, "tb": 4}
VALUE = "Illegal attribute or resource value"


def settle(asked: dict[str, str], queue: dict[str, Any], config: Config) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Resource_List, and the resources of each chunk. Raises Refused."""
    if "nodes" in asked and ("select" in asked or "place" in asked):
        raise Refused(6, "qsub: Cannot be used with select or place: nodes")
    listed: dict[str, Any] = {name: _value(name, value, config) for name, value in asked.items()}
    for name, value in queue.items():
        if name.startswith("resources_default."):
            listed.setdefault(name.partition(".")[2], value)
    if "select" not in listed:
        chunk = {name: listed[name] for name in listed if name in NUMBERS or name == "mem"}
        chunk = {"ncpus": 1, **chunk}
        listed["select"] = ":".join(["1", *(f"{k}={v}" for k, v in chunk.items())])
        listed.setdefault("place", "pack")
    listed.setdefault("place", "free")
    chunks = _chunks(listed["select"], config)
    for name in ("ncpus", "ngpus", "mpiprocs"):
        if total := sum(chunk.get(name, 0) for chunk in chunks):
            listed[name] = total
    if any("mem" in chunk for chunk in chunks):
        listed["mem"] = f"{sum(kilobytes(chunk.get('mem', '0b')) for chunk in chunks)}kb"
    listed["nodect"] = len(chunks)
    _check(listed, queue)
    return listed, chunks


def seconds(value: str) -> int:
    """The seconds in [[[D:]H:]M:]S."""
    total = 0
    for part, unit in zip(reversed(value.split(":")), (1, 60, 3600, 86400), strict=False):
        total += int(part) * unit
    return total


def clock(duration: float) -> str:
    total = int(duration)
    return f"{total // 3600:02}:{total // 60 % 60:02}:{total % 60:02}"


def kilobytes(size: str) -> int:
    match = re.fullmatch(r"(\d+)([kmgt]?)b?", size.lower())
    assert match, size
    return -(-int(match[1]) * 1024 ** UNITS[f"{match[2]}b"] // 1024)


def _value(name: str, value: str, config: Config) -> Any:
    known = NUMBERS | SIZES.keys() | DURATIONS | TEXTS | set(config.resources)
    if name not in known:
        raise Refused(UNKNOWN_RESOURCE, f"qsub: Unknown resource Resource_List.{name}")
    good = (
        (name not in NUMBERS or value.isdigit())
        and (name not in DURATIONS or re.fullmatch(r"\d+(:\d+){0,3}", value))
        and (name not in SIZES or re.fullmatch(r"(?i)\d+[kmgt]?[bw]?", value))
    )
    if not good:
        raise Refused(BAD_VALUE, f"qsub: {VALUE} Resource_List.{name}")
    if name in DURATIONS:
        return clock(seconds(value))
    return int(value) if name in NUMBERS else value


def _chunks(select: str, config: Config) -> list[dict[str, Any]]:
    chunks: list[dict[str, Any]] = []
    for part in select.split("+"):
        count, *pairs = part.split(":") if re.match(r"\d+(:|$)", part) else ("1", *part.split(":"))
        chunk: dict[str, Any] = {"ncpus": 1}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise Refused(BAD_VALUE, f"qsub: {VALUE} Resource_List.select")
            if name not in NUMBERS | SIZES.keys() | TEXTS | set(config.resources):
                raise Refused(UNKNOWN_RESOURCE, f"qsub: Unknown resource: {name}")
            if name in NUMBERS and not value.isdigit():
                raise Refused(BAD_VALUE, f"qsub: {VALUE}")
            chunk[name] = int(value) if name in NUMBERS else value
        chunks += [chunk] * int(count)
    return chunks


def _check(listed: dict[str, Any], queue: dict[str, Any]) -> None:
    for limit, most in queue.items():
        kind, _, name = limit.partition(".")
        if kind == "resources_max" and name in listed:
            amount = seconds(listed[name]) if name in DURATIONS else listed[name]
            if amount > (seconds(most) if name in DURATIONS else most):
                raise Refused(OVER_LIMIT, "qsub: Job violates queue and/or server resource limits")
