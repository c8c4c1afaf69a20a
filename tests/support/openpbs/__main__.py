"""`python -m support.openpbs STATE COMMAND ARGUMENT…`: a command of PBS, or `run ID`, which runs a job."""

import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from support.openpbs import config, show
from support.openpbs.config import Config
from support.openpbs.errors import Refused

# Each module is imported only when its command is called, so that commands start fast.
MODULES = {"run": "runner", "pbsnodes": "nodes", "qdel": "change", "qhold": "change", "qrls": "change"}


def main(folder: Path, command: str, arguments: list[str]) -> int:
    site = config.read(folder)
    module = import_module(f"support.openpbs.{MODULES.get(command, command)}")
    if command == "run":
        return int(module.main(command, folder, site, arguments))
    sys.stdout.write(site.noise.get(command, ""))
    if command in site.hang:
        signal.pause()
    time.sleep(site.slow.get(command, 0))
    if arguments == ["--version"]:
        print(f"pbs_version = {show.VERSION}")
        return 0
    if site.down:
        return _down(command, site, arguments)
    status = int(module.main(command, folder, site, arguments))
    sys.stdout.write(site.farewell.get(command, ""))
    return status


def _down(command: str, site: Config, arguments: list[str]) -> int:
    """What each command prints if the server does not answer."""
    if command == "qstat" and "json" in arguments:
        sys.stdout.write(show.as_json(site, "Jobs", {}))
    said = {
        "qdel": f"Couldn't connect to cluster: {site.server}",
        "pbsnodes": f"pbsnodes: cannot connect to server {site.server}, error=15010",
    }.get(command, f"{command}: cannot connect to server {site.server} (errno=15010)")
    print(f"Connection refused\n{said}", file=sys.stderr)
    return {"qstat": 255, "pbsnodes": 1}.get(command, 162)


if __name__ == "__main__":
    os.umask(0o022)
    try:
        status = main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    except Refused as refused:
        print(refused.said, file=sys.stderr)
        status = refused.status
    sys.exit(status)
