"""The facts that `hpcbrew setup` records in an engine that it installs, and what follows from them."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import engine
from engine import schema

SIZE = 2**20
"""The most bytes of `layout.ENGINE_FACTS` that are read."""

Facts = dict[str, Any]

GPUS, CPUS = "cuda12", "engine"
"""The distribution's extras: the engine with CUDA's libraries, some 3 GB of them, and without."""


def of(wheel: str, sha256: str, extra: str) -> Facts:
    """Returns the facts of an installation of this hpcbrew."""
    return {"wheel": wheel, "sha256": sha256, "extra": extra, "code": _own_code()}


def read(data: bytes | None) -> Facts | None:
    """Reads facts. None if there are none or they are malformed: setup will write them anew."""
    try:
        return schema.read_object(data, SIZE) if data else None
    except schema.Malformed:
        return None


def is_another(facts: Facts | None) -> bool:
    """Whether the engine is known to be from a different hpcbrew than this one."""
    return facts is not None and facts.get("code") != _own_code()


def is_for_cpus(facts: Facts | None) -> bool:
    """Whether the engine is known to have been installed without CUDA."""
    return facts is not None and facts.get("extra") == CPUS


@functools.cache
def _own_code() -> str:
    """Returns a digest of the engine's code here: between releases, engines with the same version number may differ."""
    folder = Path(engine.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        code = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(code)}\n".encode() + code)
    return digest.hexdigest()
