"""Installs the engine on a cluster's scratch, in a virtual environment of its own that is put into use once complete.

engines/VERSION-TOKEN/   one installation, never changed once in use: running jobs keep theirs
engines/…/engine.json    what it was made from
engine                   a link to the one in use
wheels/DIGEST/           what was sent for an installation; removed afterwards
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
"""Seconds for which pip and a first start may be silent: tens of thousands of small files on a slow file system."""

# Runs a command in a login shell with its Python's module loaded. pip's cache would fill the home folder, and the
# node's /tmp may be too small for what is unpacked.
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
# For a module's Python, such as EasyBuild's, that finds its library only with the module loaded: jobs start it without.
# $1: the environment's Python, a link. It finds the environment by the name it is called by, so that is passed on.
STAND_ALONE = r"""
real=$(readlink -f -- "$1") && rm -- "$1" && printf '#!/bin/bash\nexport LD_LIBRARY_PATH=%q%s\nexec -a "$0" %q "$@"\n' \
    "$LD_LIBRARY_PATH" '${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}' "$real" >"$1" && chmod +x -- "$1"
"""
# A small package that hpcbrew needs anyway: if pip gets this, it gets everything.
PROBE = ["download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "10", "click"]

Moving = Callable[[str, int], AbstractContextManager[OnBytes]]


@dataclass(frozen=True)
class InstallOptions:
    """`extra`: which of the distribution's extras; `offline`: collect wheels here, whatever the cluster can reach."""

    extra: str
    offline: bool = False


def install(
    transport: Transport, cluster: Cluster, root: PurePosixPath, options: InstallOptions, moving: Moving, report: Report
) -> None:
    """Installs the engine, and reports what it did. Raises TransportError or RequestError; the engine that was in use
    then stays in use."""
    for subfolder in (layout.ENGINES, layout.WHEELS):
        cleanup.clear(transport, root / subfolder, layout.ENGINE_FACTS, report)
    with tempfile.TemporaryDirectory() as local_folder:
        wheel = wheels.make(Path(local_folder))
        facts = engine_facts.of(wheel.name, hashing.file_sha256(wheel), options.extra)
        if _in_use(transport, root) == facts and _works(transport, root / layout.ENGINE):
            report(f"{wheel.name} [{options.extra}] is installed already, in {root / layout.ENGINE}")
            return
        c_library.check(transport, cluster.name)
        python = pythons.find(transport, cluster)
        report(f"found {python.words}")
        folder = root / layout.ENGINES / f"{wheel.name.split('-')[1]}-{secrets.token_hex(4)}"
        environment = _Installation(transport, cluster, root, python, folder, Path(local_folder), moving, report)
        try:
            _make_environment(environment)
            _install_wheel(environment, wheel, options)
            if not _works(transport, folder):
                raise TransportError(
                    f"{folder}/bin/caffe was installed but does not start: {environment.version().words}"
                )
            transport.add_files(folder, {PurePosixPath(layout.ENGINE_FACTS): json.dumps(facts).encode()})
            previous = _put_into_use(transport, root, folder)
        except BaseException:
            with contextlib.suppress(TransportError):  # after a cut, the next setup removes it
                cleanup.remove(transport, folder)
            raise
    report(f"installed {wheel.name} [{options.extra}] in {folder}; {root / layout.ENGINE} leads to it")
    if previous:
        report(f"the previous one is still in {previous}: remove it when none of your jobs uses it")


@dataclass(frozen=True)
class _Installation:
    """A virtual environment being made in `folder`, below the cluster's scratch folder `root`.

    `local_folder`: a folder on this machine for files that are collected and sent.
    """

    transport: Transport
    cluster: Cluster
    root: PurePosixPath
    python: Python
    folder: PurePosixPath
    local_folder: Path
    moving: Moving
    report: Report

    def run(self, *command: str) -> CommandResult:
        folders = pythons.module_folders(self.transport, self.cluster)
        parameters = (self.python.module or "-", self.cluster.proxy or "", str(self.folder / "tmp"), folders)
        words = ("bash", "-l", "-c", RUN, "bash", *parameters, *command)
        try:
            return self.transport.run(words, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT)
        except Unanswered as error:
            raise Unanswered(error.machine, process.named(command), error.seconds) from None

    @property
    def own_python(self) -> PurePosixPath:
        return self.folder / "bin" / "python"

    def pip(self, *arguments: str) -> CommandResult:
        return self.run(str(self.own_python), "-m", "pip", *arguments)

    def version(self) -> CommandResult:
        return self.run(str(self.folder / "bin" / "caffe"), "--version")

    def send(self, files: Sequence[Path]) -> PurePosixPath:
        """Sends files, and returns the folder on the cluster that contains them."""
        uploads = _uploads(files)
        warnings: list[str] = []
        with self.moving("sending", sum(upload.size for upload in uploads)) as on_bytes:
            ship(uploads, self.root, self.transport, on_bytes, warnings.append)
        for warning in warnings:  # not while the progress bar is shown
            self.report(warning)
        return self.root / uploads[0].target.parent


def _make_environment(environment: _Installation) -> None:
    """Makes a virtual environment whose Python starts without a module, and has pip."""
    environment.transport.make_folder(environment.folder, {PurePosixPath(cleanup.MAKER): cleanup.maker().encode()})
    options = [] if environment.python.pip else ["--without-pip"]
    _done(
        environment.run(environment.python.path, "-m", "venv", *options, str(environment.folder)),
        "the virtual environment could not be made",
    )
    if not _starts(environment.transport, environment.own_python, "-c", ""):
        _done(
            environment.run("bash", "-c", STAND_ALONE, "bash", str(environment.own_python)),
            "its Python could not be made to start",
        )
    if not environment.python.pip:
        pip = wheelhouse.pip(environment.python.version, environment.local_folder / "pip")
        sent_folder = environment.send([pip])
        # pip can be run from its wheel.
        arguments = (f"{sent_folder / pip.name}/pip", "install", "--quiet", "--no-index", str(sent_folder / pip.name))
        _done(
            environment.run(str(environment.own_python), *arguments),
            "pip could not be put into the virtual environment",
        )
        environment.transport.remove_folder(sent_folder)
        environment.report("that Python comes without pip: sent one")


def _install_wheel(environment: _Installation, wheel: Path, options: InstallOptions) -> None:
    """Installs hpcbrew's own wheel and its dependencies, from the package index or from wheels that are sent along."""
    online = not options.offline and environment.pip(*PROBE, "--dest", str(environment.folder / "tmp")).status == 0
    if online:
        files = [wheel]
        proxy_note = f" through {environment.cluster.proxy}" if environment.cluster.proxy else ""
        environment.report(f"the cluster reaches the package index{proxy_note}")
    else:
        environment.report(
            "not trying the package index from the cluster (--offline)"
            if options.offline
            else "the cluster does not reach a package index: collecting wheels here to send them"
        )
        house = environment.local_folder / "wheelhouse"
        target = wheelhouse.parse(environment.run(str(environment.own_python), "-c", wheelhouse.ASK))
        wheelhouse.collect(wheel, options.extra, target, house)
        files = sorted({wheel.name: wheel, **{path.name: path for path in house.iterdir()}}.values())
    sent_folder = environment.send(files)
    environment.report(f"sent {len(files)} wheel{'' if len(files) == 1 else 's'}")
    environment.report("installing it, which takes some minutes")
    source = [] if online else ["--no-index", "--find-links", str(sent_folder)]
    requirement = f"{sent_folder / wheel.name}[{options.extra}]"
    _done(
        environment.pip("install", "--quiet", "--only-binary=:all:", *source, requirement),
        "pip could not install the engine",
    )
    environment.transport.remove_folder(sent_folder)
    environment.transport.remove_folder(environment.folder / "tmp")


def _uploads(files: Sequence[Path]) -> list[Upload]:
    """Returns the uploads, all into one folder that is named by the digest of its contents."""
    digests = [hashing.file_sha256(path) for path in files]
    name = hashlib.sha256("".join(digests).encode()).hexdigest()[:32]
    rows = zip(files, digests, strict=True)
    return [Upload(layout.WHEELS / name / path.name, path.stat().st_size, sha256, source=path) for path, sha256 in rows]


def _in_use(transport: Transport, root: PurePosixPath) -> engine_facts.Facts | None:
    return engine_facts.read(transport.read(root / layout.ENGINE / layout.ENGINE_FACTS, 0, engine_facts.SIZE))


def _works(transport: Transport, folder: PurePosixPath) -> bool:
    return _starts(transport, folder / "bin" / "caffe", "--version")


def _starts(transport: Transport, program: PurePosixPath, *arguments: str) -> bool:
    """Whether a program starts as a job would start it: in a login shell, without the module that Python may need."""
    script = 'test -x "$1" && exec "$@"'
    command = ["bash", "-l", "-c", script, "bash", str(program), *arguments]
    return transport.run(command, PurePosixPath("/"), idle_timeout=IDLE_TIMEOUT).status == 0


def _put_into_use(transport: Transport, root: PurePosixPath, folder: PurePosixPath) -> str:
    """Puts an installation into use atomically, and returns the previous one. Refuses if a folder is in the link's
    place."""
    target, link = folder.relative_to(root), f".engine.{folder.name}"
    script = (
        "if [ -e engine ] && [ ! -L engine ]; then "
        'echo "$PWD/engine exists, but was not made by setup: move it away" >&2; exit 1; fi; '
        '[ ! -e engine ] || readlink -f engine; ln -sT -- "$1" "$2" && mv -T -- "$2" engine'
    )
    answer = transport.run(["bash", "-c", script, "bash", str(target), link], root)
    _done(answer, f"{root / layout.ENGINE} could not be put in place")
    return answer.out.strip()


def _done(answer: CommandResult, fault: str) -> None:
    if answer.status != 0:
        tail = "\n".join(answer.words.splitlines()[-8:])
        raise TransportError(f"{fault} (exit status {answer.status}):\n{tail}")
