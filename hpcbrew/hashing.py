"""Digests of files: what tells whether one is here, or there, as it was sent."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
