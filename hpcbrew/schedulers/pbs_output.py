"""Parses the two formats in which PBS shows jobs, queues, servers and nodes in full, text and JSON, into attributes.

Any answer becomes attributes or a SchedulerError: names and variables in it come from other people, and not every
version of PBS quotes them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hpcbrew.errors import SchedulerError

STARTS = 20
"""The most lines with a leading brace that are tried as the start of the JSON: others are login noise."""

# A line of PBS's JSON: a key, and a value or the opening brace of a group of values.
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*(.*)')
_TEXT = re.compile(r'"(.*)"')


@dataclass(frozen=True)
class Form:
    """The header of an entry and the indent of its attributes in the text format; the entries' key in the JSON."""

    header: re.Pattern[str]
    key: str
    indent: int = 4

    @property
    def attribute(self) -> re.Pattern[str]:
        """A line of the text format: name and value."""
        return re.compile(rf"^ {{{self.indent}}}([\w.]+) = (.*)$", re.MULTILINE)


JOBS = Form(re.compile(r"Job Id: (\S+)"), "Jobs")
QUEUES = Form(re.compile(r"Queue: (\S+)"), "Queue")
SERVERS = Form(re.compile(r"Server: (\S+)"), "Server")
NODES = Form(re.compile(r"([\w.-]+)"), "nodes", indent=5)

Entries = dict[str, dict[str, str]]


def parse(out: str, form: Form) -> Entries:
    """Returns the attributes of each entry, by name; nested ones are named like `resources_max.walltime`. Anything
    before the entries is login noise. Invalid JSON is read line by line, and an entry keeps what can be read of it.

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
            table = answer.get(form.key)
            entries = table if isinstance(table, dict) else {}
            whole = all(isinstance(values, dict) for values in entries.values())
            if whole and out[start + end :].lstrip()[:1] not in ("}", ","):
                return {name: dict(_flat(values)) for name, values in entries.items()}
            fault = ValueError("braces within a text that was not escaped")
            break
    if fault is None:
        return _parse_text(out, form)  # the lines with braces are noise
    entries_read = _parse_lines(out, form)
    if not entries_read:
        raise SchedulerError(f"PBS answered with JSON that cannot be read: {fault}")
    return entries_read


def unfinished(out: str, entries: Entries) -> str | None:
    """Returns the entry in which an answer is cut off, as when PBS's command was killed; None if it is complete.

    In the text format an empty line ends each entry; in the JSON format an unindented brace ends all. Removes the value
    on an unterminated line, since digits may be missing.
    """
    text = out.rstrip()
    if not entries or out.endswith(("\n\n", "\n\r\n")) or text.endswith("\n}") or re.fullmatch(r"\{.*\}", text):
        return None
    name = next(reversed(entries))
    if entries[name] and not out.endswith("\n"):
        entries[name].popitem()
    return name


def _first_counts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keeps the first value of a name: a later one may be the text of a variable that was not escaped."""
    first: dict[str, Any] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    return first


# Keeps numbers as they are written, and allows line breaks in strings.
_DECODER = json.JSONDecoder(
    strict=False, object_pairs_hook=_first_counts, parse_int=str, parse_float=str, parse_constant=str
)


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Flattens attributes. Anything nested deeper than a list's resources is not an attribute, and is dropped."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", str(part)) for inner, part in value.items() if not isinstance(part, dict))
        else:
            yield key, str(value)


def _parse_lines(out: str, form: Form) -> Entries:
    """Reads JSON as PBS formats it, one pair per line: an unreadable line affects only itself.

    All entries are indented like the first, so each one's start is recognised whatever the previous one left open.
    """
    entries: Entries = {}
    path: list[str] = []
    indent = None
    for raw_line in out.split("\n"):
        line = raw_line.strip().removesuffix(",")
        match = _PAIR.fullmatch(line)
        if match is None:
            path = path[:-1] if line == "}" else path
            continue
        key, value = match.groups()
        depth = len(raw_line) - len(raw_line.lstrip())
        if value == "{":
            path = [form.key, key] if depth == indent else [*path, key]
            if path == [form.key, key]:
                indent = depth
                entries.setdefault(key, {})
        elif path[:1] == [form.key] and len(path) in (2, 3):  # in an entry, or in its list of resources
            text = _TEXT.fullmatch(value)
            entries.setdefault(path[1], {}).setdefault(".".join([*path[2:], key]), text[1] if text else value)
    return {name: values for name, values in entries.items() if values}


def _parse_text(out: str, form: Form) -> Entries:
    """Reads the text format. A line that starts with a tab continues the one before it; any other line that is neither
    header nor attribute is noise, or part of a variable with a line break. An entry without attributes is noise.

    Of attributes with the same name the first counts: a later one may be the text of a variable with a line break. The
    same holds for entries.
    """
    entries: dict[str, dict[str, list[str]]] = {}
    attributes: dict[str, list[str]] = {}
    last, attribute = "", form.attribute
    for line in (raw_line.removesuffix("\r") for raw_line in out.split("\n")):
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
