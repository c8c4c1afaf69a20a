"""The flags that are passed to the engine's `caffe train` unchanged: its additions to Caffe's, by name and value."""

import re
from collections.abc import Mapping, Sequence

from engine import schema
from hpcbrew.errors import RequestError

TrainFlags = tuple[tuple[str, str], ...]
"""Names without dashes, with values; "" for a flag that takes none."""

_NUMBER = r"[0-9]{1,9}"
VALUES: Mapping[str, str] = {
    "nan": "stop|warn|ignore",
    "precision": "float32|tf32|bfloat16",
    "recompute": "",
    "skip_bad_records": "",
    "warmup": _NUMBER,
    "keep": _NUMBER,
    "watch": r"[^\s\x00-\x1f-][^\s\x00-\x1f]{0,254}",
    "early_stop": _NUMBER,
    "class_weights": r"[0-9.][0-9.eE+-]*(?:,[0-9.][0-9.eE+-]*)*",
}
"""The values that each flag accepts, as a regular expression."""


def read(value: object) -> tuple[str, str]:
    """Reads a flag from job.json, a list of its name and its value. Raises Malformed."""
    match value:
        case [str(name), str(given)] if name in VALUES and re.fullmatch(VALUES[name], given):
            return name, given
    raise schema.wrong(value, "a flag of caffe train with its value")


def merged(old_flags: TrainFlags, new_flags: TrainFlags) -> TrainFlags:
    """Returns the flags of a resumed job: those of the previous job, overridden by those given now."""
    return tuple({**dict(old_flags), **dict(new_flags)}.items())


def arguments(flags: TrainFlags, engine: str) -> Sequence[str]:
    """Returns the arguments for the engine's command line.

    Raises RequestError for the site's own Caffe, which has none of these flags, and for flags that need another one.
    """
    names = {name for name, _ in flags}
    if "early_stop" in names and "watch" not in names:
        raise RequestError("--early-stop needs --watch: the test output that must improve")
    if flags and engine == "module":
        name, value = flags[0]
        option = f"--{name.replace('_', '-')} {value}".rstrip()
        raise RequestError(f"{option}: the site's own Caffe has no such flag: leave it out, or --engine module")
    return [word for name, value in flags for word in (f"-{name}", value) if word]
