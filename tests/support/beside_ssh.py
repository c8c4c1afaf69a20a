"""Checks whether `ssh cluster`, and whether hpcbrew, can log in with a given ssh configuration, without prompts."""

import subprocess
from pathlib import Path, PurePosixPath

from hpcbrew.errors import TransportError
from hpcbrew.transports import paramiko_ssh
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended


def ssh(config: Path, destination: str = "cluster") -> bool:
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", destination, "true"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def hpcbrew(config: Path, destination: str = "cluster") -> str:
    """Why hpcbrew cannot log in; "" if it can."""
    transport = Ssh(destination, Unattended(), lambda name: paramiko_ssh.resolve(name, config), config)
    try:
        assert transport.run(["echo", "in"], PurePosixPath("/")).out == "in\n"
    except TransportError as error:
        return str(error)
    finally:
        transport.disconnect()
    return ""
