"""The forms in which PBS shows objects in full: text with folded lines, and its own kind of JSON."""

import json
import re
import time
from typing import Any

from support.openpbs.config import Config

VERSION = "23.06.06"
TIMES = {"ctime", "mtime", "qtime", "stime", "etime", "obittime", "last_state_change_time", "last_used_time"}
WIDTH = 78

# The order in which PBS shows a job's attributes. A name that ends with a dot stands for all that begin with it.
ORDER = """
Job_Name Job_Owner resources_used. job_state queue server Account_Name Checkpoint ctime depend Error_Path exec_host
exec_vnode group_list Hold_Types Join_Path Keep_Files Mail_Points Mail_Users mtime Output_Path Priority qtime Rerunable
Resource_List. stime obittime session_id Shell_Path_List jobdir substate Variable_List comment etime run_count
Stageout_status Exit_status Submit_arguments executable argument_list array array_state_count array_indices_submitted
array_indices_remaining array_id array_index history_timestamp project Submit_Host max_run_subjobs
""".split()  # noqa: SIM905 - a list of fifty strings is harder to read
TEXTS = ("Job_Name", "project", "Account_Name", "Submit_arguments")


def ordered(attributes: dict[str, Any]) -> dict[str, Any]:
    """A job's attributes in PBS's order."""

    def place(name: str) -> tuple[int, str]:
        head, dot, rest = name.partition(".")
        return ORDER.index(head + dot), rest

    return {name: attributes[name] for name in sorted(attributes, key=place)}


def text(header: str, attributes: dict[str, Any], *, wide: bool = False, indent: int = 4) -> str:
    lines = [header]
    for name, value in attributes.items():
        lines.append(fold(name, _plain(name, value), wide=wide, indent=indent))
    return "\n".join(lines) + "\n"


def fold(name: str, value: str, *, wide: bool = False, indent: int = 4) -> str:
    """A line of the text form. It is broken after commas; a part too long for a line is broken anywhere."""
    line, used = f"{' ' * indent}{name} = ", len(name) + indent + 3
    if wide:
        return line + value
    for n, part in enumerate(re.findall(r"[^,]*,|[^,]+$", value)):
        if used + len(part) > WIDTH:
            if n:
                line, used = line + "\n\t", 8
            for i, letter in enumerate(part):
                line, used = line + letter, used + 1
                if used > WIDTH and i + 1 < len(part):
                    line, used = line + "\n\t", 8
        else:
            line, used = line + part, used + len(part)
    return line


def as_json(config: Config, key: str, entries: dict[str, dict[str, Any]]) -> str:
    """PBS's JSON: tabs, nested resources, numbers for values that look like numbers, no `key` without entries."""
    answer: dict[str, Any] = {"timestamp": int(time.time()), "pbs_version": VERSION, "pbs_server": config.server}
    if entries:
        answer[key] = {name: _nested(attributes) for name, attributes in entries.items()}
    return _written(answer, 0) + "\n"


def _plain(name: str, value: Any) -> str:
    return time.ctime(value) if name in TIMES else str(value)


# Times of a node, which are numbers in JSON.
NUMBERS = ("last_state_change_time", "last_used_time")


def _nested(attributes: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in attributes.items():
        head, _, rest = name.partition(".")
        if name == "Variable_List":
            pairs = [pair.split("=", 1) for pair in re.split(r"(?<!\\),", value)]
            nested[name] = {k: _guessed(v.replace("\\,", ",")) for k, v in pairs}
        elif rest:
            nested.setdefault(head, {})[rest] = _guessed(str(value))
        elif isinstance(value, dict):
            nested[name] = value
        elif name in NUMBERS:
            nested[name] = int(value)
        elif name == "jobs":
            nested[name] = [job.partition("/")[0] for job in value.split(", ")]
        else:
            nested[name] = value if name in TEXTS else _guessed(_plain(name, value))
    return nested


def _guessed(value: str) -> int | bool | str:
    if re.fullmatch(r"-?\d+", value):
        return int(value)
    return value == "true" if value in ("true", "false") else value


def _written(value: Any, depth: int) -> str:
    if isinstance(value, list):
        return f"[{', '.join(json.dumps(v) for v in value)}]"
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    tabs = "\t" * (depth + 1)
    rows = ",\n".join(f"{tabs}{json.dumps(k)}:\t{_written(v, depth + 1)}" for k, v in value.items())
    return f"{{\n{rows}{chr(10) if rows else ''}{tabs[1:]}}}"
