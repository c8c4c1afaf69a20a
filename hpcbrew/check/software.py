"""Checks of the software that jobs use: modules, Python, the engine."""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import PurePosixPath

from hpcbrew import engine_facts, layout
from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.setup import c_library
from hpcbrew.setup import find_python as pythons

TOP = PurePosixPath("/")
LOAD = r"""
command -v module >/dev/null || { echo 'there is no `module` in a login shell' >&2; exit 1; }
load=$1 check=$2
shift 2
for folder in "$@"; do module use "$folder" || exit 1; done
module load "$load" || exit 1
[ -z "$check" ] || command -v "$check" >/dev/null || { echo "it was loaded, but $check is not found" >&2; exit 1; }
"""


def modules(site: Checked) -> Iterator[Finding]:
    """Loads each module of the profile as a job does."""
    folders = [str(site.transport.root(folder)) for folder in site.cluster.module_use]
    for module in site.cluster.modules:
        arguments = [module.load, module.check or "", *folders]
        answer = site.transport.run(["bash", "-l", "-c", LOAD, "bash", *arguments], TOP)
        if answer.status != 0:
            complaint = answer.words.splitlines()[-1]
            yield Finding(f"module {module.load}", Mark.BAD, complaint, "module avail there; modules: in the profile")
        else:
            yield Finding(f"module {module.load}", Mark.OK, "is loaded")
    if not site.cluster.modules:
        yield Finding("modules", Mark.OK, "the profile needs none")


def python(site: Checked) -> Iterator[Finding]:
    """Finds the Python with which setup would install the engine. Raises TransportError if there is none."""
    if site.cluster.scheduler == "local":
        yield Finding("Python", Mark.OK, f"{sys.version.split()[0]}, {sys.executable}")
        return
    c_library.check(site.transport, site.cluster.name)
    yield Finding("Python", Mark.OK, pythons.find(site.transport, site.cluster).words)


def engine(site: Checked) -> Iterator[Finding]:
    """Starts the engine as a job does."""
    local_version, facts = metadata.version("hpcbrew"), None
    if site.cluster.scheduler == "local":
        command = [sys.executable, "-P", "-m", "engine.cli", "--version"]
    else:
        folder = site.transport.root(site.cluster.scratch or "") / layout.ENGINE
        command = ["bash", "-l", "-c", 'exec "$1" --version', "bash", str(folder / "bin" / "caffe")]
        facts = engine_facts.read(site.transport.read(folder / layout.ENGINE_FACTS, 0, engine_facts.SIZE))
    answer = site.transport.run(command, TOP)
    remedy = f"hpcbrew setup {site.cluster.name}"
    if answer.status != 0:
        yield Finding("engine", Mark.BAD, answer.words.splitlines()[-1], remedy)
        return
    version = (answer.out.split() or ["an unknown version"])[-1]
    if version != local_version:
        yield Finding("engine", Mark.WARN, f"{version} there, {local_version} here", f"{remedy} updates it")
    elif engine_facts.is_another(facts):
        yield Finding("engine", Mark.WARN, f"{version}, but from a different build of hpcbrew", f"{remedy} updates it")
    else:
        yield Finding("engine", Mark.OK, version)
