"""Small wheels for tests of code that installs wheels."""

import zipfile
from pathlib import Path


def stub(folder: Path, name: str, files: dict[str, str], requires: str = "", entry: str = "") -> Path:
    """A small wheel, as a build tool makes one."""
    info = f"{name}-0.1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{entry}\n"
    path = folder / f"{name}-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file), text)  # with a fixed time
        archive.writestr(
            zipfile.ZipInfo(f"{info}/RECORD"), "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
        )
    return path
