"""Collects the wheels of an installation on this machine, for a Python on another machine.

The remote Python describes itself in pip's own terms, and the local pip is told its platforms. But pip always evaluates
markers, such as `; python_version < "3.12"`, for its own machine (pypa/pip#11664); this is patched from outside.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from engine import schema
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError
from hpcbrew.setup import wheel as wheels

MARK = "@target\t"

# Run by the new environment's Python there. The line break ends what profile files print without one.
ASK = f"""
import json
from pip._vendor.packaging import markers, tags
platforms = list(dict.fromkeys(tag.platform for tag in tags.sys_tags() if tag.platform != "any"))
print("\\n" + {MARK!r} + json.dumps({{"environment": markers.default_environment(), "platforms": platforms}}))
"""

_NEEDED = {"python_full_version": re.compile(r"\d+(\.\d+)*.*"), "platform_release": None}
_PLATFORM = schema.text(re.compile(r"\w[\w.-]*"), "a platform's tag", most=255)

# Run by the Python here. It changes internals of pip, so it checks that this had an effect.
COLLECT = """
import json, sys
from pip._internal.cli.main import main
from pip._vendor.packaging import markers
environment = json.loads(sys.argv.pop(1))
markers.default_environment = lambda: dict(environment)
environment["platform_release"], release = "heeded", environment["platform_release"]
if not markers.Marker("platform_release == 'heeded'").evaluate():
    sys.exit("this pip cannot use another machine's markers; another version may: pip install --upgrade pip")
environment["platform_release"] = release
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Target:
    """A Python on another machine: the values of its markers (PEP 508), and its platform tags, best first."""

    environment: dict[str, str]
    platforms: tuple[str, ...]


def parse(answer: CommandResult) -> Target:
    """Reads what `ASK` prints; other lines are login noise. Raises TransportError."""
    answer_line = next((line for line in answer.out.splitlines() if line.startswith(MARK)), None)
    if answer_line is None:
        raise TransportError(f"the new environment's pip there does not say which wheels it accepts: {answer.words}")
    try:
        description = schema.read_object(answer_line.removeprefix(MARK).encode(errors="surrogateescape"))
        environment = schema.field(description, "environment", schema.table(schema.text(), schema.text()))
        for name, pattern in _NEEDED.items():
            schema.field(environment, name, schema.text(pattern, f"a {name}"))
        return Target(environment, schema.field(description, "platforms", schema.listing(_PLATFORM)))
    except schema.Malformed as error:
        raise TransportError(f"the description of the new environment's pip there cannot be read: {error}") from None


def pip(version: tuple[int, int], into: Path) -> Path:
    """Downloads the wheel of a pip for that Python; it suits every platform. Raises RequestError."""
    options = ("--only-binary=:all:", "--python-version", f"{version[0]}.{version[1]}")
    wheels.pip(["download", "--no-deps", "--dest", str(into), *options, "pip"], "getting pip's own wheel")
    return next(into.glob("pip-*.whl"))


def collect(wheel: Path, extra: str, target: Target, into: Path) -> None:
    """Downloads the engine's wheels into a folder. Raises RequestError with the end of pip's output."""
    version = re.match(r"\d+(\.\d+)*", target.environment["python_full_version"])
    assert version is not None, target
    arguments = [
        "download",
        *("--dest", str(into), "--only-binary=:all:", "--implementation", "cp", "--python-version", version[0]),
        *(argument for tag in target.platforms for argument in ("--platform", tag)),
        f"{wheel}[{extra}]",
    ]
    start = ("-c", COLLECT, json.dumps(target.environment))
    wheels.pip(arguments, "collecting the engine's wheels", start)
