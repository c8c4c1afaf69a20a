"""The two forms in which PBS shows queues, servers and nodes in full: text and JSON. Both become plain attributes."""

import json
import re
from dataclasses import dataclass
from typing import Any

from hpcbrew.errors import SchedulerError

ATTRIBUTE = re.compile(r" {4,5}([\w.]+) = (.*)")


@dataclass(frozen=True)
class Form:
    """What heads each entry in the text form, and where the entries are in the JSON form."""

    header: re.Pattern[str]
    key: str


QUEUES = Form(re.compile(r"Queue: (\S+)"), "Queue")
SERVERS = Form(re.compile(r"Server: (\S+)"), "Server")
NODES = Form(re.compile(r"([\w.-]+)"), "nodes")


def parse(out: str, form: Form) -> dict[str, dict[str, str]]:
    """The attributes of each entry, by its name; nested ones as `resources_max.walltime`. What comes before is login
    noise. Raises SchedulerError for broken JSON."""
    start = re.search(r"^\{", out, re.MULTILINE)
    if not start:
        return _parse_text(out, form)
    try:
        answer, _ = json.JSONDecoder(strict=False).raw_decode(out[start.start() :])
    except ValueError as error:
        raise SchedulerError(f"PBS answered with JSON that cannot be read: {error}") from None
    return {name: dict(_flat(values)) for name, values in answer.get(form.key, {}).items()}


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, str(value))]
    return pairs


def _parse_text(out: str, form: Form) -> dict[str, dict[str, str]]:
    """A line that begins with a tab carries on the one before it. An entry without attributes is login noise."""
    entries: dict[str, dict[str, str]] = {}
    attributes: dict[str, str] = {}
    last = ""
    for line in out.splitlines():
        if header := form.header.fullmatch(line.rstrip()):
            attributes, last = {}, ""
            entries[header[1]] = attributes
        elif match := ATTRIBUTE.fullmatch(line):
            last = match[1]
            attributes[last] = match[2]
        elif last and line.startswith("\t"):
            attributes[last] += line[1:]
    return {name: attributes for name, attributes in entries.items() if attributes}
