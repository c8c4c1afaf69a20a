"""Files that grow by whole lines."""

import os
from pathlib import Path
from typing import IO


def append(path: Path, lines: bytes) -> None:
    """Appends `lines` to a file, starting on a new line; creates the file if needed. Raises OSError."""
    with path.open("ab+") as file:
        file.write(lines if _ends_a_line(file) else b"\n" + lines)


def _ends_a_line(file: IO[bytes]) -> bool:
    """Whether the file ends with a complete line. If a program was stopped within one, anything appended to that line
    would be unreadable too."""
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
