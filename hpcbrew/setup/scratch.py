"""Finds or makes the scratch folder of a cluster and the link `~/scratch`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from hpcbrew.errors import TransportError
from hpcbrew.setup.report import Report
from hpcbrew.transports.base import Transport

LINK = "~/scratch"
UNFIT = '"$`\\:'
"""What the folder's path must not contain: pip writes an environment's path, in double quotes, into the shell lines at
the head of its programs, and venv refuses a colon."""

# Prints lines `@key<TAB>value`, after a line break, which ends what profile files print without one. Sites name scratch
# folders after the home's path or the user's name, or by $SCRATCH.
SURVEY = r"""
echo
printf '@home\t%s\n' "$HOME"
link=$HOME/scratch
if [ -d "$link" ]; then printf '@link\tthere\t%s\n' "$(readlink -f -- "$link")"
elif [ -L "$link" ]; then printf '@link\tdangling\t%s\n' "$(readlink -m -- "$link")"
elif [ -e "$link" ]; then printf '@link\tfile\t%s\n' "$link"
fi
for folder in "${SCRATCH:-}" "/scratch${HOME#/home}" "/scratch/$(id -un)"; do
    case $folder in '' | /scratch/) continue ;; esac
    above=$folder
    while [ ! -e "$above" ]; do above=$(dirname -- "$above"); done
    [ "$above" != / ] && [ -d "$above" ] && [ -w "$above" ] && printf '@folder\t%s\n' "$folder"
done
exit 0
"""
_ROW = re.compile(r"@(home|folder|link(?=\t(?:there|dangling|file)\t))(?:\t(there|dangling|file))?\t(/[^\t]*)")
# Only writing proves that one may write.
TRY = 'mkdir -p -- "$1" && part=$(mktemp -- "$1/.hpcbrew.XXXXXX") && rm -f -- "$part"'


@dataclass(frozen=True)
class Survey:
    """What exists: the home folder, what `~/scratch` is (`there`, `dangling`, `file` or nothing) and what it leads to,
    and folders that are writable or can be made, best first."""

    home: str
    link: str
    leads_to: str
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """Which folders to make, where the link `~/scratch` should lead if it is to be made, and a description of that."""

    make: tuple[str, ...]
    link_to: str | None
    words: str


def parse(out: str) -> Survey:
    """Reads the survey's answer; other lines are login noise. Raises TransportError if it names no home folder."""
    rows = [row.groups() for line in out.splitlines() if (row := _ROW.fullmatch(line))]
    home = next((path for kind, _, path in rows if kind == "home"), None)
    if home is None:
        raise TransportError(f"the home folder there could not be found: {out.strip()[:1000] or 'no answer'}")
    link, leads_to = next(((state, path) for kind, state, path in rows if kind == "link"), ("", ""))
    return Survey(home, link or "", leads_to, tuple(path for kind, _, path in rows if kind == "folder"))


def decide(pattern: str, survey: Survey) -> Decision:
    """Decides what to do for a profile's `scratch`. Raises TransportError if a file is in the way."""
    by_link = pattern == LINK or pattern.startswith(f"{LINK}/")
    if survey.link == "there":
        words = f"found {LINK}, which is {survey.leads_to}"
        other = next((folder for folder in survey.folders if folder != survey.leads_to), None)
        if by_link and other and survey.leads_to == f"{survey.home}/scratch":
            words += (
                f", a folder in your home, whose quota jobs may fill: `scratch: {other}` in the profile avoids that"
            )
        return Decision((), None, words)
    if survey.link == "dangling":
        return Decision(
            (survey.leads_to,), None, f"made {survey.leads_to}, to which {LINK} led although it did not exist"
        )
    if survey.link == "file":
        if by_link:
            raise TransportError(f"{survey.leads_to} is a file where the scratch folder should be: move it away")
        return Decision((), None, f"left {LINK} alone: it is a file of yours")
    if not by_link:
        return Decision((), pattern, f"made the link {LINK}")
    if survey.folders:
        return Decision((survey.folders[0],), survey.folders[0], f"made the link {LINK} to {survey.folders[0]}")
    new_folder = f"{survey.home}/scratch"
    return Decision(
        (new_folder,),
        None,
        f"made {new_folder}: no scratch file system was found, so mind the quota of your home folder",
    )


def prepare(transport: Transport, pattern: str, confirm: Callable[[str], bool], report: Report) -> PurePosixPath:
    """Reports what it did, and returns the scratch folder. Raises TransportError if it cannot be written to."""
    top = PurePosixPath("/")
    root = transport.root(pattern)
    if unfit := [sign for sign in UNFIT if sign in str(root)]:
        raise TransportError(
            f"{root}: the engine could not start from a folder whose path contains {' or '.join(unfit)}: put another "
            "`scratch:` into the profile"
        )
    answer = transport.run(["bash", "-l", "-c", SURVEY], top)
    if answer.status != 0:
        raise TransportError(f"the home folder there could not be inspected: {answer.words}")
    survey = parse(answer.out)
    decision = decide(pattern, survey)
    for folder in decision.make:
        _done(transport, ["mkdir", "-p", "--", folder], folder)
    if decision.link_to is not None:
        target = str(transport.root(pattern)) if decision.link_to == pattern else decision.link_to
        if not confirm(f"Make {LINK} there a link to {target}?"):
            if decision.link_to != pattern:
                raise TransportError(
                    f"the profile's scratch folder is {pattern}, and you declined to make it. Name another, such as "
                    "`scratch: /path/of/yours` in the profile, and run this again"
                )
            report(f"made no link {LINK}")
        else:
            _done(transport, ["mkdir", "-p", "--", target], target)
            _done(transport, ["ln", "-sT", "--", target, f"{survey.home}/scratch"], LINK)
            report(decision.words)
    else:
        report(decision.words)
    _done(transport, ["bash", "-c", TRY, "bash", str(root)], str(root))
    report(f"{root} can be written to")
    return root


def _done(transport: Transport, command: list[str], folder: str) -> None:
    answer = transport.run(command, PurePosixPath("/"))
    if answer.status != 0:
        raise TransportError(f"{folder}: cannot be made or written to: {answer.words}")
