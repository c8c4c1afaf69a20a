"""Makes a wheel of hpcbrew itself: builds it from the checkout, or repacks the installed files."""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from engine import shipped
from hpcbrew.errors import RequestError

DISTRIBUTION = "hpcbrew"


def make(folder: Path) -> Path:
    """Makes the wheel in `folder`, and returns its path. Raises RequestError if that fails."""
    checkout = shipped.folder("configs").parent
    if (checkout / "pyproject.toml").is_file():
        pip(["wheel", "--no-deps", "--wheel-dir", str(folder), str(checkout)], "building hpcbrew's wheel")
        return next(folder.glob("*.whl"))
    return repack(metadata.distribution(DISTRIBUTION), folder)


def pip(arguments: list[str], doing: str, start: Sequence[str] = ("-m", "pip")) -> None:
    """Runs pip on this machine; `start`: Python's arguments that start it. Raises RequestError with the end of its
    output."""
    command = [sys.executable, "-P", *start, "--quiet", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        tail = "\n".join((result.stderr or result.stdout).strip().splitlines()[-8:])
        raise RequestError(f"{doing} failed on this machine (pip, exit status {result.returncode}):\n{tail}")


def repack(distribution: metadata.Distribution, folder: Path) -> Path:
    """Rebuilds the wheel that a distribution was installed from: a zip of its files (PyPA, binary distribution format)
    without compiled files and scripts, which the next installation makes anew. Raises RequestError if it was not
    installed from a wheel."""
    files = [f for f in distribution.files or [] if ".." not in f.parts and "__pycache__" not in f.parts]
    tag = (distribution.read_text("WHEEL") or "").partition("Tag: ")[2].split("\n")[0].strip()
    if not files or not tag:
        raise RequestError(f"{distribution.name} was not installed from a wheel: install it with pip, and try again")
    path = folder / f"{distribution.name.replace('-', '_')}-{distribution.version}-{tag}.whl"
    dropped = {"INSTALLER", "REQUESTED", "direct_url.json", "RECORD"}
    contents = sorted((f for f in files if f.name not in dropped), key=str)
    record = next(f for f in files if f.name == "RECORD")
    rows = [f"{f},{f'{f.hash.mode}={f.hash.value}' if f.hash else ''},{f.size or ''}" for f in contents]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in contents:
            # A fixed time, so that the same files make the same wheel, which is then not sent again.
            info = zipfile.ZipInfo(str(file))
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, file.read_binary())
        archive.writestr(zipfile.ZipInfo(str(record)), "\n".join([*rows, f"{record},,"]) + "\n")
    return path
