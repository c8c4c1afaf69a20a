import subprocess
from pathlib import Path

from hpcbrew.hashing import sha256


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"net" * 2**20)
    told = subprocess.run(["sha256sum", tmp_path / "file"], capture_output=True, text=True, check=True).stdout
    assert sha256(tmp_path / "file") == told.split()[0]
