"""Files that grow by whole lines."""

import os
from pathlib import Path
from typing import IO


def append(path: Path, lines: bytes) -> None:
    """Adds `lines` to a file, which is made where there is none, so that they begin a line. Raises OSError."""
    with path.open("ab+") as file:
        file.write(lines if _ends_a_line(file) else b"\n" + lines)


def _ends_a_line(file: IO[bytes]) -> bool:
    """False where a program broke off in the middle of a line: of what is joined to it nobody could read either."""
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
