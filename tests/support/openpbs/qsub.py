"""qsub: creates a job from a script and its options."""

import getpass
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from support.openpbs import depend, environment, options, resources, schedule
from support.openpbs.config import Config
from support.openpbs.errors import NO_PERMISSION, QUEUE_CLOSED, UNKNOWN_QUEUE, Refused
from support.openpbs.options import Options
from support.openpbs.store import Job, State, opened


def main(command: str, folder: Path, config: Config, arguments: list[str]) -> int:
    asked, rest = options.parse(arguments)
    script, executable = _script(asked, rest)
    with opened(folder, config) as state:
        job = _job(state, asked, arguments, executable)
        scripts = folder / "mom_priv" / "jobs"
        scripts.mkdir(parents=True, exist_ok=True)
        (scripts / f"{job.own['seq']}.SC").write_bytes(script)
        state.jobs[job.id] = job
        depend.register(state, job)
        schedule.advance(state)
    print(job.id)
    return 0


def _script(asked: Options, rest: list[str]) -> tuple[bytes, list[str]]:
    """The script, from a file or stdin, or the command to run instead."""
    if rest[:1] == ["--"]:
        return b"", rest[1:]
    if rest and rest[0] != "-":
        path = Path(rest[0])
        if not path.is_file():
            raise Refused(1, "qsub: script file:: No such file or directory")
        text, name = path.read_bytes(), path.name
    else:
        text, name = sys.stdin.buffer.read(), "STDIN"
    options.read_script(asked, text.decode(errors="surrogateescape"))
    asked.flags.setdefault("N", name)
    return text, []


def _job(state: State, asked: Options, arguments: list[str], executable: list[str]) -> Job:
    config, flags, now = state.config, asked.flags, time.time()
    queue = _queue(flags.get("q", ""), config)
    listed, chunks = resources.settle(asked.resources, config.queues[queue], config)
    seq, array = state.following, asked.array
    state.following += 1
    name = flags.get("N") or Path(executable[0]).name
    mark, index = ("[]", ".^array_index^") if array else ("", "")
    held = "h" in flags
    attributes: dict[str, Any] = {
        "Job_Name": name,
        "Job_Owner": f"{getpass.getuser()}@{config.server}",
        "job_state": "H" if held else "Q",
        "queue": queue,
        "server": config.server,
        "Checkpoint": "u",
        "ctime": now,
        "Error_Path": _output(config, flags.get("e", f"{name}.e{seq}{index}")),
        "Hold_Types": "u" if held else "n",
        "Join_Path": flags.get("j", "n"),
        "Keep_Files": flags.get("k", "n"),
        "Mail_Points": flags.get("m", "a"),
        "mtime": now,
        "Output_Path": _output(config, flags.get("o", f"{name}.o{seq}{index}")),
        "Priority": int(flags.get("p", 0)),
        "qtime": now,
        "Rerunable": "False" if flags.get("r") == "n" else "True",
        **{f"Resource_List.{key}": value for key, value in listed.items()},
        "substate": 20 if held else 10,
        "Variable_List": environment.variable_list(environment.submitted(flags, queue, config)),
        "Submit_arguments": " ".join(arguments),
        "project": flags.get("P", "_pbs_project_default"),
        "Submit_Host": config.server,
    }
    attributes |= {
        shown: flags[letter]
        for letter, shown in (("A", "Account_Name"), ("M", "Mail_Users"), ("S", "Shell_Path_List"))
        if letter in flags
    }
    if "group_list" in asked.other:
        attributes["group_list"] = asked.other["group_list"]
    if not held:
        attributes["etime"] = now
    if executable:
        tag = "jsdl-hpcpa:"
        attributes["executable"] = f"<{tag}Executable>{executable[0]}</{tag}Executable>"
        shown = "".join(f"<{tag}Argument>{word}</{tag}Argument>" for word in executable[1:])
        attributes |= {"argument_list": shown} if shown else {}
    own: dict[str, Any] = {
        "seq": seq,
        "chunks": chunks,
        "home": str(Path.home()),
        "workdir": str(Path.cwd()),
        "variables": environment.submitted(flags, queue, config),
        "executable": executable,
        "depend": asked.depend,
        "before": [],
    }
    if array:
        indices, most = array["indices"], array["most"]
        own |= {"indices": indices, "waiting": list(indices), "dropped": [], "most": most}
        submitted = re.sub("%.*", "", flags["J"])
        attributes |= {"array": "True", "array_indices_submitted": submitted}
        attributes |= {"max_run_subjobs": most} if most else {}
    return Job(f"{seq}{mark}.{config.server}", attributes, own)


def _queue(asked: str, config: Config) -> str:
    name, _, server = asked.partition("@")
    if server not in ("", config.server):
        raise Refused(160, f"Unknown Host.\nqsub: cannot connect to server {config.server} (errno=15008)")
    name = name or next(iter(config.queues))
    if name not in config.queues:
        raise Refused(UNKNOWN_QUEUE, "qsub: Unknown queue")
    queue = config.queues[name]
    if queue.get("enabled") == "False":
        raise Refused(QUEUE_CLOSED, "qsub: Queue is not enabled")
    if queue.get("acl_user_enable") == "True" and getpass.getuser() not in queue["acl_users"].split(","):
        raise Refused(NO_PERMISSION, "qsub: Unauthorized Request ")
    return name


def _output(config: Config, asked: str) -> str:
    """Where output goes. A relative path starts in the folder where qsub is called."""
    path = os.path.normpath(Path.cwd() / asked)
    return f"{config.server}:{path}{'/' if asked.endswith('/') else ''}"
