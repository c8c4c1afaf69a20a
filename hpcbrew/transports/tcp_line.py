"""The way to a host, before anything is said on it."""

import socket

from hpcbrew.errors import Unreachable


def connected(host: str, port: int, seconds: float, shown: str) -> socket.socket:
    """A connection. `shown`: whom messages name.

    Raises Unreachable where there is no such host, or where nobody has answered after so many seconds; OSError where a
    connection was refused.
    """
    try:
        return socket.create_connection((host, port), timeout=seconds)
    except (TimeoutError, socket.gaierror) as error:
        said = "there is no host of that name" if isinstance(error, socket.gaierror) else "nobody answers"
        raise Unreachable(f"{shown}: no connection: {said} ({error})") from None
