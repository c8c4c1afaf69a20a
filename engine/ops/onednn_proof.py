"""Finds out whether the calls of `engine.ops.onednn` work here, with one trial for each jaxlib and processor.

A configuration that a jaxlib does not understand aborts the process, and where oneDNN has no kernel for a processor it
uses one that is a thousand times slower. So a separate process tries the calls (`onednn_trial`) before their first use,
and the verdict is kept in the user's cache.
"""

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import jax
import jaxlib

from engine import log
from engine.errors import DeviceError
from engine.host import atomic_file, user_cache
from engine.job_contract import Variable
from engine.ops.trace_flag import TraceFlag

KNOWN = ("0.10.", "0.11.", "0.12.")
"""The jaxlibs that understand the configuration which `engine.ops.onednn` writes; that of 0.8 was different."""

PASSED = "passed"

PATIENCE = 120
"""Seconds that the trial may take. It needs 3, but starting Python from a loaded file server takes longer."""


_left_out = TraceFlag()

left_out = _left_out.raised
"""A context in which traced functions don't call oneDNN, and no trial runs for them. All jaxlibs in `KNOWN` have it."""


def passed() -> bool:
    """Whether programs that are compiled for a CPU should call oneDNN.

    Raises DeviceError if HPCBREW_ONEDNN has an unknown value.
    """
    return not _left_out.up and _proved()


@cache
def _proved() -> bool:
    setting = os.environ.get(Variable.ONEDNN, "")
    if setting not in ("", "off"):
        raise DeviceError(f"{Variable.ONEDNN} is {setting!r}; set it to off, or unset it.")
    if setting or not jaxlib.__version__.startswith(KNOWN):
        return False
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or jax.default_backend() != "cpu":
        return False
    return _verdict() == PASSED


def _verdict() -> str:
    try:
        file = user_cache.folder("onednn") / f"{jaxlib.__version__}-{_tried_forms()}"
        if file.exists():
            return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        file = None
    verdict, final = _trial()
    if verdict != PASSED:
        log.warning("onednn_proof.py:56", f"Convolutions do without oneDNN on this machine: {verdict}")
    if file is not None and final:
        _keep(file, verdict)
    return verdict


def _tried_forms() -> str:
    """A short digest of the code under trial: a verdict holds only for the forms that were tried."""
    files = (Path(__file__).with_name(f"{name}.py") for name in ("onednn", "convolution_onednn", "onednn_trial"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _trial() -> tuple[str, bool]:
    """The trial's verdict in one line, and whether another trial would end the same way."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109  as sys.path has it
    environment = os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu", Variable.ONEDNN: "off"}
    command = [sys.executable, "-m", "engine.ops.onednn_trial"]
    try:
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"its trial did not end within {PATIENCE} s.", False
    except OSError as e:
        return f"its trial could not be started: {e}", False
    if process.returncode:
        return f"its trial ended with status {process.returncode}.", process.returncode < 0
    return (process.stdout.strip().splitlines() or ["its trial said nothing."])[-1], True


def _keep(path: Path, verdict: str) -> None:
    try:
        atomic_file.replace(path, f"{verdict}\n".encode())
    except OSError as e:
        log.info("onednn_proof.py:84", f"The next run will try oneDNN again, since {path} cannot be written: {e}")
