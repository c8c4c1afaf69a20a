"""Opens the TCP connection to a host."""

import socket

from hpcbrew.errors import Unreachable


def connected(host: str, port: int, seconds: float, address: str) -> socket.socket:
    """Returns a connection. `address`: how messages name the host.

    Raises Unreachable if there is no such host, or if it has not answered after `seconds`; OSError if the connection
    was refused.
    """
    try:
        return socket.create_connection((host, port), timeout=seconds)
    except (TimeoutError, socket.gaierror) as error:
        reason = "there is no host of that name" if isinstance(error, socket.gaierror) else "it does not answer"
        raise Unreachable(f"{address}: no connection: {reason} ({error})") from None
