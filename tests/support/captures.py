"""The recorded answers of PBS, with which the stand-in's are compared byte by byte, command by command.

Only values that differ between any two runs are masked: times, process ids, amounts used, core numbers, folders.
"""

import csv
import getpass
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hpcbrew.command_result import CommandResult
from support.standin import Standin

FOLDER = Path(__file__).parent / "pbs_captures"
USER, HOME, CAP = "ee2110061", "/home/ee/btech/ee2110061", "/scratch/ee/btech/ee2110061/cap"

LEVELLED = [
    (r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "<time>"),
    (r"\w{3} \w{3} \d\d at \d\d:\d\d", "<minute>"),
    (r'\n[ \t]+"?session_id[^\n]*', ""),  # shown only for jobs that live long enough, which depends on the load
    (r'((?:history_)?timestamp|last_\w+_time)(":\t| = )\d+', r"\1\2<n>"),
    (r'((?:resources_used\.|\t{4}"cp|\t{4}"mem|\t{4}"vmem)[^\n]*?(?:":\t| = ))[^,\n]+', r"\1<used>"),
    (r'("resources_used":\t\{[^}]*"walltime":\t)"[^"]*"', r"\1<used>"),
    (r'(exec_host(?:":\t"| = )pbs01/)\d(?!\*)', r"\1<slot>"),
    (r'(PBS_O_PATH(?:":\t"|=))[^",]*', r"\1<path>"),
]


@cache
def index(folder: Path = FOLDER) -> dict[str, dict[str, str]]:
    """By the captures' names: their exit status, and the bytes of their standard output and standard error."""
    with (folder / "INDEX.tsv").open() as table:
        return {row["name"]: row for row in csv.DictReader(table, delimiter="\t")}


@dataclass(frozen=True)
class Capture:
    command: str
    answer: CommandResult


def read(name: str, folder: Path = FOLDER) -> Capture:
    """Reads a capture. Its first line is the command. The answer is as a transport returns it, with bytes that are not
    UTF-8 replaced."""
    row = index(folder)[name]
    command, _, said = (folder / f"{name}.txt").read_bytes().partition(b"\n")
    cut = int(row["stdout_bytes"])
    out, err = (part.decode(errors="replace") for part in (said[:cut], said[cut:]))
    return Capture(command.decode().removeprefix("$ "), CommandResult(int(row["status"]), out, err))


def captured(name: str, folder: Path = FOLDER) -> CommandResult:
    return read(name, folder).answer


def level(text: str) -> str:
    text = unfolded(text)
    for pattern, common in LEVELLED:
        text = re.sub(pattern, common, text)
    return text


def unfolded(text: str) -> str:
    """Removes the line breaks of the text form, which depend on the length of paths; test_show tests them."""
    return text.replace("\n\t", "") if text.startswith(("Job Id: ", "Server: ")) else text


@dataclass(frozen=True)
class Replay:
    """A user's folders on the stand-in's login node: `cap` is where jobs are submitted."""

    site: Standin
    home: Path

    @property
    def cap(self) -> Path:
        return self.home.parent / "cap"

    def type(self, command: str, stdin: str = "") -> tuple[int, str, str]:
        """What a shell there answers, with this user's name and folders replaced by the recorded ones."""
        environment = {"PATH": f"{self.site.bin}:/usr/bin:/bin", "HOME": str(self.home), "MAIL": f"/var/mail/{USER}"}
        command = command.replace(CAP, str(self.cap)).replace(HOME, str(self.home))
        done = self.site.run("/bin/bash", "-c", command, cwd=self.cap, env=environment, input=stdin)
        return done.returncode, self._recorded(done.stdout), self._recorded(done.stderr)

    def _recorded(self, text: str) -> str:
        """Replaces this user's name by the recorded one, but not in access lists."""
        user = getpass.getuser()
        text = unfolded(text).replace(str(self.cap), CAP).replace(str(self.home), HOME)
        text = re.sub(rf"\b{user}( *)(?=@| +(?:0|\d\d:\d\d:\d\d) \w | on <?\w)", self._padded, text)
        return re.sub(rf'(LOGNAME(?:":\t"|=)){user}', rf"\g<1>{USER}", text)

    def _padded(self, match: re.Match[str]) -> str:
        return USER.ljust(len(match[0])) if len(match[0]) > 12 else USER + match[1]

    def script(self, name: str, body: str, *directives: str) -> None:
        lines = ["#!/bin/bash", *(f"#PBS {directive}" for directive in directives), body]
        (self.cap / name).write_text("\n".join(lines) + "\n")

    def job(self, name: str, body: str, *directives: str, job_name: str | None = None) -> None:
        """Writes a script like those of the recorded jobs: one core for five minutes, output beside it."""
        usual = (f"-N {job_name or name}", "-l walltime=00:05:00", f"-o {name}.out", f"-e {name}.err")
        select = () if any("select" in d for d in directives) else ("-l select=1:ncpus=1",)
        self.script(f"{name}.pbs", body, *usual, *select, *directives)

    def holds(self, name: str) -> None:
        """Asserts that the recorded command gives the recorded answer, exit status and stderr."""
        recorded = read(name)
        status, out, err = self.type(recorded.command)
        assert level(out).splitlines() == level(recorded.answer.out).splitlines()
        assert err == recorded.answer.err
        assert status == recorded.answer.status
