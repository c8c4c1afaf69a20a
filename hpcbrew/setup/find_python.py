"""Finds a cluster's Python, on its PATH or in its modules."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import TransportError
from hpcbrew.transports.base import Transport

OLDEST, NEWEST = (3, 11), (3, 14)
NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3", "python")
MODULES = r"(^|/)(python|anaconda|miniconda|miniforge|conda)[^/]*(/|$)"
TRIED = 12  # the most modules that are tried, newest first: each takes about a second
IDLE_TIMEOUT = 5 * 60.0  # seconds: `module avail` alone may take a minute

# A Python without venv is of no use here; ensurepip, which a bare Debian lacks, is not needed.
_ABOUT = (
    "import sys, venv, importlib.util as u; print('@python', '%d.%d' % sys.version_info[:2], sys.executable, "
    "sys.argv[1], 'pip' if u.find_spec('ensurepip') else '-', sep='\\t')"
)
_ROW = re.compile(
    r"@python\t(?P<major>[0-9]{1,3})\.(?P<minor>[0-9]{1,3})\t(?P<path>/[^\t]+)\t(?P<module>[^\t]+)\t(?P<pip>pip|-)"
)
# $folders: folders of further modules, separated by colons. IFS is only set for `read`, since `module` itself evaluates
# paths with colons.
USE_FOLDERS = """
IFS=: read -r -a folders <<<"$folders"
for folder in "${folders[@]}"; do module use "$folder"; done
"""
# $1: the program above; $2: a pattern of modules to try, or empty; $3: one module, or empty; $4: folders of further
# modules, separated by colons; the rest: commands. The line break ends what profile files print without one.
SURVEY = rf"""
echo
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
    """`module`: the module that was loaded to find it, if any; `pip`: whether it can put pip into its environments."""

    version: tuple[int, int]
    path: str
    module: str | None
    pip: bool = True

    @property
    def words(self) -> str:
        note = f" (module {self.module})" if self.module else ""
        return f"Python {self.version[0]}.{self.version[1]}, {self.path}{note}"


def survey_command(
    names: tuple[str, ...], *, module: str = "", pattern: str = "", folders: str = ""
) -> tuple[str, ...]:
    """Returns the command that looks for Pythons. `folders`: as `module_folders` returns them."""
    return ("bash", "-l", "-c", SURVEY, "bash", _ABOUT, pattern, module, folders, *names)


def module_folders(transport: Transport, cluster: Cluster) -> str:
    """Returns the folders of the profile's `module_use` as absolute paths, separated by colons."""
    return ":".join(str(transport.root(folder)) for folder in cluster.module_use)


def parse(out: str) -> list[Python]:
    """Returns each Python once, in the order found; other lines are login noise."""
    rows = [row for line in out.splitlines() if (row := _ROW.fullmatch(line))]
    by_path = {
        row["path"]: Python(
            (int(row["major"]), int(row["minor"])),
            row["path"],
            None if row["module"] == "-" else row["module"],
            row["pip"] == "pip",
        )
        for row in reversed(rows)
    }
    return list(reversed(by_path.values()))


def best(pythons: list[Python]) -> Python | None:
    """Returns the newest Python on which hpcbrew and its libraries run."""
    usable = [python for python in pythons if OLDEST <= python.version <= NEWEST]
    return max(usable, key=lambda python: python.version) if usable else None


def find(transport: Transport, cluster: Cluster) -> Python:
    """Finds the Python that the profile names, or else one on the PATH, or else in the site's modules. Raises
    TransportError, naming those that were found, if none fits."""
    names = (cluster.python,) if cluster.python else NAMES
    folders = module_folders(transport, cluster)
    if cluster.python_module:
        looks = [survey_command(names, module=cluster.python_module, folders=folders)]
    else:
        looks = [survey_command(names), survey_command(names, pattern=MODULES, folders=folders)]
    pythons: list[Python] = []
    for command in looks:
        answer = transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT)
        pythons += parse(answer.out)
        python = best(pythons)
        if python is not None:
            return python
    words = "; ".join(python.words for python in pythons) or f"no {' or '.join(names)} with venv"
    raise TransportError(
        f"{cluster.name}: no Python from {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} was found there: {words}. "
        f"Name one in your profile: `python: /path/to/python3.11`, or `python_module: NAME` (module avail python)"
    )
