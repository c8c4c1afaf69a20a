"""A cluster's Python: found on its PATH or in its modules."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import TransportError
from hpcbrew.transports.base import Transport

OLDEST, NEWEST = (3, 11), (3, 14)
NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3", "python")
MODULES = r"(^|/)(python|anaconda|miniconda|miniforge|conda)[^/]*(/|$)"
TRIED = 12  # modules that are looked into, newest first: each takes a second or so
IDLE_TIMEOUT = 5 * 60.0  # seconds: `module avail` alone may take a minute

# Without venv it is of no use here; ensurepip, which a bare Debian has not, can be done without.
_ABOUT = (
    "import sys, venv, importlib.util as u; print('@python', '%d.%d' % sys.version_info[:2], sys.executable, "
    "sys.argv[1], 'pip' if u.find_spec('ensurepip') else '-', sep='\\t')"
)
_ROW = re.compile(
    r"@python\t(?P<major>[0-9]{1,3})\.(?P<minor>[0-9]{1,3})\t(?P<path>/[^\t]+)\t(?P<module>[^\t]+)\t(?P<pip>pip|-)"
)
# $folders: of further modules, by colons. They are no separator while `module` runs, which evaluates paths by colons.
USE_FOLDERS = """
IFS=: read -r -a folders <<<"$folders"
for folder in "${folders[@]}"; do module use "$folder"; done
"""
# $1: that program; $2: a pattern of modules to look into, or nothing; $3: one module, or nothing; $4: folders of
# further modules, by colons; the rest: commands.
SURVEY = rf"""
about=$1 pattern=$2 module=$3 folders=$4
shift 4
{USE_FOLDERS}
look() {{
    for name in "$@"; do command -v "$name" >/dev/null && "$name" -c "$about" "$loaded" 2>/dev/null; done
}}
if [ -n "$module" ]; then
    loaded=$module
    module load "$module" && look "$@"
elif [ -n "$pattern" ]; then
    module -t avail 2>&1 | sed 's/(.*)$//' | grep -E -i -- "$pattern" | sort -rVu | head -n {TRIED} |
        while read -r loaded; do
            ( module load "$loaded" >/dev/null 2>&1 && look "$@" )
        done
else
    loaded=-
    look "$@"
fi
exit 0
"""


@dataclass(frozen=True)
class Python:
    """`module` is what was loaded to find it, None for nothing; `pip`: whether it brings one for its environments."""

    version: tuple[int, int]
    path: str
    module: str | None
    pip: bool = True

    @property
    def words(self) -> str:
        loaded = f" (module {self.module})" if self.module else ""
        return f"Python {self.version[0]}.{self.version[1]}, {self.path}{loaded}"


def survey_command(
    names: tuple[str, ...], *, module: str = "", pattern: str = "", folders: str = ""
) -> tuple[str, ...]:
    """`folders`: as `module_folders` gives them."""
    return ("bash", "-l", "-c", SURVEY, "bash", _ABOUT, pattern, module, folders, *names)


def module_folders(transport: Transport, cluster: Cluster) -> str:
    """Those of the profile's `module_use`, whole paths with colons between."""
    return ":".join(str(transport.root(folder)) for folder in cluster.module_use)


def parse(out: str) -> list[Python]:
    """Each Python once, in the order found; other lines are login noise."""
    rows = [row for line in out.splitlines() if (row := _ROW.fullmatch(line))]
    found = {
        row["path"]: Python(
            (int(row["major"]), int(row["minor"])),
            row["path"],
            None if row["module"] == "-" else row["module"],
            row["pip"] == "pip",
        )
        for row in reversed(rows)
    }
    return list(reversed(found.values()))


def best(found: list[Python]) -> Python | None:
    """The newest that hpcbrew and its libraries run on."""
    usable = [python for python in found if OLDEST <= python.version <= NEWEST]
    return max(usable, key=lambda python: python.version) if usable else None


def find(transport: Transport, cluster: Cluster) -> Python:
    """As the profile says; else on the PATH; else in the site's modules. Raises TransportError with what was found."""
    names = (cluster.python,) if cluster.python else NAMES
    folders = module_folders(transport, cluster)
    if cluster.python_module:
        looks = [survey_command(names, module=cluster.python_module, folders=folders)]
    else:
        looks = [survey_command(names), survey_command(names, pattern=MODULES, folders=folders)]
    seen: list[Python] = []
    for command in looks:
        answer = transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT)
        seen += parse(answer.out)
        python = best(seen)
        if python is not None:
            return python
    found = "; ".join(python.words for python in seen) or f"no {' or '.join(names)} with venv"
    raise TransportError(
        f"{cluster.name}: no Python from {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} was found there: {found}. "
        f"Name one in your profile: `python: /path/to/python3.11`, or `python_module: NAME` (module avail python)"
    )
