"""`upgrade_net_proto_binary IN OUT`: a net with its parameters in today's form."""

import sys
from collections.abc import Sequence

from engine.proto import binary
from engine.tools import upgrading


def main(argv: Sequence[str] | None = None) -> int:
    """Run with `argv`, or the process's arguments; returns the exit status."""
    return upgrading.run(
        argv, "upgrade_net_proto_binary", "a net with its parameters", "caffemodel", binary.read_net, binary.write
    )


if __name__ == "__main__":
    sys.exit(main())
