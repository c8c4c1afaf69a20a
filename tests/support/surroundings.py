"""Isolates tests from the machine's scheduler and from what its site or user has set."""

import signal
from collections.abc import MutableMapping
from pathlib import Path

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
KEPT_PREFIXES = ("LC_", "PYTHON", "PYTEST_", "COV_", "COVERAGE_", "JAX_", "XLA_", "CUDA_", "NVIDIA_")
"""Variables that the interpreter, pytest and JAX need to run as they were started."""

COMPILED_ANEW = "PYTHONDONTWRITEBYTECODE"
"""With it, each of the hundreds of programs that tests start would compile hundreds of modules."""


def clear(environment: MutableMapping[str, str]) -> None:
    """Leaves only what a program needs to run, and a PATH without the scheduler's folder.

    That folder may be /usr/bin, and PBS is also recognized by /etc/pbs.conf, so engine.host.login_node is told that
    programs started by the tests may compute here.
    """
    for name in list(environment):
        if name == COMPILED_ANEW or (name not in KEPT and not name.startswith(KEPT_PREFIXES)):
            del environment[name]
    folders = environment["PATH"].split(":")
    environment["PATH"] = ":".join(folder for folder in folders if not _is_schedulers(Path(folder)))
    environment["HPCBREW_TRAIN_HERE"] = "1"


def take_interrupts() -> None:
    """Makes Ctrl-C work, here and in programs started by the tests, even if a background script had it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_schedulers(folder: Path) -> bool:
    return (folder / "qsub").exists() and not (folder / "env").exists()
