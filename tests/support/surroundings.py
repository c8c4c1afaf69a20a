"""What a test inherits: neither the scheduler of the machine that it runs on nor what a site or user has set there."""

import signal
from collections.abc import MutableMapping
from pathlib import Path

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
KEPT_PREFIXES = ("LC_", "PYTHON", "PYTEST_", "COV_", "COVERAGE_", "JAX_", "XLA_", "CUDA_", "NVIDIA_")
"""What the interpreter, pytest and JAX need to run as they were started."""


def clear(environment: MutableMapping[str, str]) -> None:
    """Leaves what a program needs to run at all, and a PATH without a scheduler's folder.

    That folder may be /usr/bin, and PBS is known by /etc/pbs.conf too: engine.host.login_node is told that what the
    tests start may compute here.
    """
    for name in list(environment):
        if name not in KEPT and not name.startswith(KEPT_PREFIXES):
            del environment[name]
    folders = environment["PATH"].split(":")
    environment["PATH"] = ":".join(folder for folder in folders if not _is_schedulers(Path(folder)))
    environment["HPCBREW_TRAIN_HERE"] = "1"


def take_interrupts() -> None:
    """Has Ctrl-C arrive where a script in the background had it ignored, and in what the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_schedulers(folder: Path) -> bool:
    return (folder / "qsub").exists() and not (folder / "env").exists()
