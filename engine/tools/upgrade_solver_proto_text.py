"""`upgrade_solver_proto_text IN OUT`: upgrades a solver's prototxt to the current format."""

import sys
from collections.abc import Sequence

from engine.proto import text
from engine.tools import command
from engine.tools.upgrading import upgrade

upgrade_solver_proto_text = upgrade(
    "upgrade_solver_proto_text", "a solver's prototxt", "prototxt", text.read_solver, text.write
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(upgrade_solver_proto_text, argv)


if __name__ == "__main__":
    sys.exit(main())
