"""The engine on a cluster's scratch: a virtual environment of its own, put in use once it is whole.

engines/VERSION-TOKEN/   one installation, never changed once it is in use: running jobs keep theirs
engines/…/engine.json    what it was made from
engine                   a link to the one in use
wheels/DIGEST/           what was sent for an installation; taken away after it
"""

import contextlib
import hashlib
import json
import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hpcbrew import engine_facts, hashing, layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.job import Upload
from hpcbrew.setup import c_library, cleanup, wheelhouse
from hpcbrew.setup import find_python as pythons
from hpcbrew.setup import wheel as wheels
from hpcbrew.setup.find_python import Python
from hpcbrew.setup.report import Report
from hpcbrew.transfer.upload import ship
from hpcbrew.transports import process
from hpcbrew.transports.base import OnBytes, Transport

IDLE_TIMEOUT = 30 * 60.0
"""Seconds that pip and a first start may say nothing: tens of thousands of small files on a slow file system."""

# In a login shell, with the module of its Python loaded. pip's cache would fill the home folder; the node's /tmp may
# be too small for what is unpacked.
RUN = rf"""
module=$1 proxy=$2 tmp=$3 folders=$4
shift 4
{pythons.USE_FOLDERS}
[ "$module" = - ] || module load "$module" || exit 1
[ -z "$proxy" ] || export http_proxy="$proxy" https_proxy="$proxy" HTTP_PROXY="$proxy" HTTPS_PROXY="$proxy"
export TMPDIR="$tmp" PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME
mkdir -p -- "$tmp" && exec "$@"
"""
# Where a module's Python finds its own library by the module alone, as EasyBuild's: jobs start it without. $1: the
# environment's Python, a link; the name by which it is called leads it to the environment, so that is handed on.
STAND_ALONE = r"""
real=$(readlink -f -- "$1") && rm -- "$1" && printf '#!/bin/bash\nexport LD_LIBRARY_PATH=%q%s\nexec -a "$0" %q "$@"\n' \
    "$LD_LIBRARY_PATH" '${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}' "$real" >"$1" && chmod +x -- "$1"
"""
# Something small that hpcbrew needs anyway: if that comes, all comes.
PROBE = ["download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "10", "click"]

Moving = Callable[[str, int], AbstractContextManager[OnBytes]]


@dataclass(frozen=True)
class Wanted:
    """`extra`: which of the distribution's extras; `offline`: wheels are collected here, whatever is reached there."""

    extra: str
    offline: bool = False


def install(
    transport: Transport, cluster: Cluster, root: PurePosixPath, wanted: Wanted, moving: Moving, report: Report
) -> None:
    """Reports what was done. Raises TransportError or RequestError: then the engine that was in use still is."""
    for unfinished in (layout.ENGINES, layout.WHEELS):
        cleanup.clear(transport, root / unfinished, layout.ENGINE_FACTS, report)
    with tempfile.TemporaryDirectory() as made:
        wheel = wheels.make(Path(made))
        facts = engine_facts.of(wheel.name, hashing.file_sha256(wheel), wanted.extra)
        if _in_use(transport, root) == facts and _works(transport, root / layout.ENGINE):
            report(f"{wheel.name} [{wanted.extra}] is installed already, in {root / layout.ENGINE}")
            return
        c_library.check(transport, cluster.name)
        python = pythons.find(transport, cluster)
        report(f"found {python.words}")
        folder = root / layout.ENGINES / f"{wheel.name.split('-')[1]}-{secrets.token_hex(4)}"
        new = _Installation(transport, cluster, root, python, folder, Path(made), moving, report)
        try:
            _make_environment(new)
            _install_wheel(new, wheel, wanted)
            if not _works(transport, folder):
                raise TransportError(f"{folder}/bin/caffe was installed and does not start: {new.version().words}")
            transport.add_files(folder, {PurePosixPath(layout.ENGINE_FACTS): json.dumps(facts).encode()})
            before = _use(transport, root, folder)
        except BaseException:
            with contextlib.suppress(TransportError):  # after a cut the next setup does it
                cleanup.remove(transport, folder)
            raise
    report(f"installed {wheel.name} [{wanted.extra}] in {folder}; {root / layout.ENGINE} leads to it")
    if before:
        report(f"the one before it is still in {before}: take it away when no job of yours runs with it")


@dataclass(frozen=True)
class _Installation:
    """A virtual environment in the making: `folder`, below the cluster's scratch folder `root`.

    `made`: a folder on this machine for what is collected and sent.
    """

    transport: Transport
    cluster: Cluster
    root: PurePosixPath
    python: Python
    folder: PurePosixPath
    made: Path
    moving: Moving
    report: Report

    def run(self, *command: str) -> CommandResult:
        folders = pythons.module_folders(self.transport, self.cluster)
        given = (self.python.module or "-", self.cluster.proxy or "", str(self.folder / "tmp"), folders)
        words = ("bash", "-l", "-c", RUN, "bash", *given, *command)
        try:
            return self.transport.run(words, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT)
        except Unanswered as error:
            raise Unanswered(error.where, process.named(command), error.seconds) from None

    @property
    def own_python(self) -> PurePosixPath:
        return self.folder / "bin" / "python"

    def pip(self, *arguments: str) -> CommandResult:
        return self.run(str(self.own_python), "-m", "pip", *arguments)

    def version(self) -> CommandResult:
        return self.run(str(self.folder / "bin" / "caffe"), "--version")

    def send(self, files: Sequence[Path]) -> PurePosixPath:
        """The folder on the cluster that holds these files afterwards."""
        uploads = _uploads(files)
        warnings: list[str] = []
        with self.moving("sending", sum(upload.size for upload in uploads)) as on_bytes:
            ship(uploads, self.root, self.transport, on_bytes, warnings.append)
        for warning in warnings:  # not across the bar
            self.report(warning)
        return self.root / uploads[0].target.parent


def _make_environment(new: _Installation) -> None:
    """A virtual environment whose Python starts by itself, and has pip."""
    new.transport.make_folder(new.folder, {PurePosixPath(cleanup.MAKER): cleanup.maker().encode()})
    alone = [] if new.python.pip else ["--without-pip"]
    _done(new.run(new.python.path, "-m", "venv", *alone, str(new.folder)), "the virtual environment could not be made")
    if not _starts(new.transport, new.own_python, "-c", ""):
        _done(new.run("bash", "-c", STAND_ALONE, "bash", str(new.own_python)), "its Python could not be made to start")
    if not new.python.pip:
        pip = wheelhouse.pip(new.python.version, new.made / "pip")
        sent = new.send([pip])
        # A wheel of pip can be run as it lies.
        itself = (f"{sent / pip.name}/pip", "install", "--quiet", "--no-index", str(sent / pip.name))
        _done(new.run(str(new.own_python), *itself), "pip could not be put into the virtual environment")
        new.transport.remove_folder(sent)
        new.report("that Python brings no pip: sent one")


def _install_wheel(new: _Installation, wheel: Path, wanted: Wanted) -> None:
    """hpcbrew's own wheel, and what it needs: from the package index, or from wheels that are sent with it."""
    online = not wanted.offline and new.pip(*PROBE, "--dest", str(new.folder / "tmp")).status == 0
    if online:
        files = [wheel]
        through = f" through {new.cluster.proxy}" if new.cluster.proxy else ""
        new.report(f"the cluster reaches the package index{through}")
    else:
        new.report(
            "the cluster is not asked to reach the package index"
            if wanted.offline
            else "the cluster reaches no package index: wheels are collected here and sent"
        )
        house = new.made / "wheelhouse"
        target = wheelhouse.parse(new.run(str(new.own_python), "-c", wheelhouse.ASK))
        wheelhouse.collect(wheel, wanted.extra, target, house)
        files = sorted({wheel.name: wheel, **{path.name: path for path in house.iterdir()}}.values())
    sent = new.send(files)
    new.report(f"sent {len(files)} wheel{'' if len(files) == 1 else 's'}")
    new.report("installing it, which takes some minutes")
    source = [] if online else ["--no-index", "--find-links", str(sent)]
    asked = f"{sent / wheel.name}[{wanted.extra}]"
    _done(new.pip("install", "--quiet", "--only-binary=:all:", *source, asked), "pip could not install the engine")
    new.transport.remove_folder(sent)
    new.transport.remove_folder(new.folder / "tmp")


def _uploads(files: Sequence[Path]) -> list[Upload]:
    """All in one folder, which is named by what is in it."""
    digests = [hashing.file_sha256(path) for path in files]
    name = hashlib.sha256("".join(digests).encode()).hexdigest()[:32]
    rows = zip(files, digests, strict=True)
    return [Upload(layout.WHEELS / name / path.name, path.stat().st_size, sha256, source=path) for path, sha256 in rows]


def _in_use(transport: Transport, root: PurePosixPath) -> engine_facts.Facts | None:
    return engine_facts.read(transport.read(root / layout.ENGINE / layout.ENGINE_FACTS, 0, engine_facts.SIZE))


def _works(transport: Transport, folder: PurePosixPath) -> bool:
    return _starts(transport, folder / "bin" / "caffe", "--version")


def _starts(transport: Transport, program: PurePosixPath, *arguments: str) -> bool:
    """As a job starts it: in a login shell, without the module that Python may have come from."""
    script = 'test -x "$1" && exec "$@"'
    command = ["bash", "-l", "-c", script, "bash", str(program), *arguments]
    return transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT).status == 0


def _use(transport: Transport, root: PurePosixPath, folder: PurePosixPath) -> str:
    """Puts an installation in use, at once for all; gives the one that was. A folder in the place of the link stays."""
    target, link = folder.relative_to(root), f".engine.{folder.name}"
    script = (
        "if [ -e engine ] && [ ! -L engine ]; then "
        'echo "$PWD/engine is there, and setup did not make it: move it away" >&2; exit 1; fi; '
        '[ ! -e engine ] || readlink -f engine; ln -sT -- "$1" "$2" && mv -T -- "$2" engine'
    )
    answer = transport.run(["bash", "-c", script, "bash", str(target), link], root)
    _done(answer, f"{root / layout.ENGINE} could not be put in place")
    return answer.out.strip()


def _done(answer: CommandResult, fault: str) -> None:
    if answer.status != 0:
        said = "\n".join(answer.words.splitlines()[-8:])
        raise TransportError(f"{fault} (exit status {answer.status}):\n{said}")
