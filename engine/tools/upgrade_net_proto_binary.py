"""`upgrade_net_proto_binary IN OUT`: upgrades a .caffemodel to the current format."""

import sys
from collections.abc import Sequence

from engine.proto import binary
from engine.tools import command
from engine.tools.upgrading import upgrade

upgrade_net_proto_binary = upgrade(
    "upgrade_net_proto_binary", "a .caffemodel", "caffemodel", binary.read_net, binary.write
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(upgrade_net_proto_binary, argv)


if __name__ == "__main__":
    sys.exit(main())
