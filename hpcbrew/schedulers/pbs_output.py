"""The two forms in which PBS shows jobs, queues, servers and nodes in full: text and JSON. Both become attributes."""

import json
import re
from dataclasses import dataclass
from typing import Any

from hpcbrew.errors import SchedulerError


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


def parse(out: str, form: Form) -> dict[str, dict[str, str]]:
    """The attributes of each entry, by its name; nested ones as `resources_max.walltime`. What comes before is login
    noise. Raises SchedulerError for broken JSON."""
    start = re.search(r"^\{", out, re.MULTILINE)
    if not start or form.attribute.search(out[: start.start()]):
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
    """A line that is neither header nor attribute carries on the one before it; an entry without attributes is noise.

    The first attribute of a name counts: a later one may be the text of a variable with a line break in it.
    """
    entries: dict[str, dict[str, str]] = {}
    attributes: dict[str, str] = {}
    last, attribute = "", form.attribute
    for line in out.splitlines():
        if header := form.header.fullmatch(line.rstrip()):
            attributes, last = {}, ""
            entries[header[1]] = attributes
        elif match := attribute.fullmatch(line):
            last = "" if match[1] in attributes else match[1]
            if last:
                attributes[last] = match[2]
        elif last:
            attributes[last] += line.removeprefix("\t")
    return {name: attributes for name, attributes in entries.items() if attributes}
