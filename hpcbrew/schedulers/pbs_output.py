"""The two forms in which PBS shows jobs, queues, servers and nodes in full: text and JSON. Both become attributes.

Whatever an answer holds, it becomes attributes or SchedulerError: names and variables in it are other people's, and not
every version of PBS quotes them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hpcbrew.errors import SchedulerError

STARTS = 20
"""So many lines that begin with a brace are tried as the beginning of the JSON: others are login noise."""

# A line of PBS's JSON: a key, and a value, or the brace of a group of values.
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*(.*)')
_TEXT = re.compile(r'"(.*)"')


@dataclass(frozen=True)
class Form:
    """What heads each entry in the text form and indents its attributes; where the entries are in the JSON form."""

    header: re.Pattern[str]
    key: str
    indent: int = 4

    @property
    def attribute(self) -> re.Pattern[str]:
        """A line of the text form: name and value."""
        return re.compile(rf"^ {{{self.indent}}}([\w.]+) = (.*)$", re.MULTILINE)


JOBS = Form(re.compile(r"Job Id: (\S+)"), "Jobs")
QUEUES = Form(re.compile(r"Queue: (\S+)"), "Queue")
SERVERS = Form(re.compile(r"Server: (\S+)"), "Server")
NODES = Form(re.compile(r"([\w.-]+)"), "nodes", indent=5)

Entries = dict[str, dict[str, str]]


def parse(out: str, form: Form) -> Entries:
    """The attributes of each entry, by its name; nested ones as `resources_max.walltime`. What comes before is login
    noise. JSON that is none is read line by line, and an entry keeps what can be read of it.

    Raises SchedulerError for JSON of which nothing can be read.
    """
    starts = [match.start() for _, match in zip(range(STARTS), re.finditer(r"^\{", out, re.MULTILINE), strict=False)]
    if not starts or form.attribute.search(out[: starts[0]]):
        return _parse_text(out, form)
    fault: Exception | None = None
    for start in starts:
        try:
            answer, end = _DECODER.raw_decode(out[start:])
        except (ValueError, RecursionError) as error:
            fault = fault or error
            continue
        if form.key in answer or "timestamp" in answer:
            found = answer.get(form.key)
            entries = found if isinstance(found, dict) else {}
            whole = all(isinstance(values, dict) for values in entries.values())
            if whole and out[start + end :].lstrip()[:1] not in ("}", ","):
                return {name: dict(_flat(values)) for name, values in entries.items()}
            fault = ValueError("braces within a text that was not escaped")
            break
    if fault is None:
        return _parse_text(out, form)  # what begins with braces is noise
    entries_read = _parse_lines(out, form)
    if not entries_read:
        raise SchedulerError(f"PBS answered with JSON that cannot be read: {fault}")
    return entries_read


def unfinished(out: str, entries: Entries) -> str | None:
    """The entry within which an answer breaks off, as where PBS's command was killed; None where it is whole.

    In the text form an empty line ends each entry; in the JSON form a brace of no indent ends them all. A value in a
    line that has no end may lack digits: it is taken out.
    """
    said = out.rstrip()
    if not entries or out.endswith(("\n\n", "\n\r\n")) or said.endswith("\n}") or re.fullmatch(r"\{.*\}", said):
        return None
    name = next(reversed(entries))
    if entries[name] and not out.endswith("\n"):
        entries[name].popitem()
    return name


def _first_counts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A later value of the same name may be the text of a variable that was not escaped."""
    first: dict[str, Any] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    return first


# Numbers stay as they are written. Line breaks may stand in strings.
_DECODER = json.JSONDecoder(
    strict=False, object_pairs_hook=_first_counts, parse_int=str, parse_float=str, parse_constant=str
)


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is nested deeper than the resources of a list is no attribute, and stays as it is."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", str(part)) for inner, part in value.items() if not isinstance(part, dict))
        else:
            yield key, str(value)


def _parse_lines(out: str, form: Form) -> Entries:
    """JSON as PBS lays it out, a pair a line: what a line holds that cannot be read concerns that line alone.

    All entries are indented as the first is: so each is seen to begin, whatever the one before it left open.
    """
    entries: Entries = {}
    path: list[str] = []
    indent = None
    for whole in out.split("\n"):
        line = whole.strip().removesuffix(",")
        match = _PAIR.fullmatch(line)
        if match is None:
            path = path[:-1] if line == "}" else path
            continue
        key, value = match.groups()
        deep = len(whole) - len(whole.lstrip())
        if value == "{":
            path = [form.key, key] if deep == indent else [*path, key]
            if path == [form.key, key]:
                indent = deep
                entries.setdefault(key, {})
        elif path[:1] == [form.key] and len(path) in (2, 3):  # of an entry, or of its list of resources
            text = _TEXT.fullmatch(value)
            entries.setdefault(path[1], {}).setdefault(".".join([*path[2:], key]), text[1] if text else value)
    return {name: values for name, values in entries.items() if values}


def _parse_text(out: str, form: Form) -> Entries:
    """A line that begins with a tab carries on the one before it; another that is neither header nor attribute is
    noise, or of a variable with a line break in it. An entry without attributes is noise.

    The first attribute of a name counts: a later one may be the text of a variable with a line break in it. So does the
    first entry of a name.
    """
    entries: dict[str, dict[str, list[str]]] = {}
    attributes: dict[str, list[str]] = {}
    last, attribute = "", form.attribute
    for line in (whole.removesuffix("\r") for whole in out.split("\n")):
        if header := form.header.fullmatch(line.rstrip()):
            attributes, last = {}, ""
            if not entries.get(header[1]):
                entries[header[1]] = attributes
        elif match := attribute.fullmatch(line):
            last = "" if match[1] in attributes else match[1]
            if last:
                attributes[last] = [match[2]]
        elif not line:
            last = ""
        elif last and line.startswith("\t"):
            attributes[last].append(line[1:])
    return {
        name: {key: "".join(parts) for key, parts in attributes.items()}
        for name, attributes in entries.items()
        if attributes
    }
