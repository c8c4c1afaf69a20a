"""Lets the nodes of a job wait for each other before JAX joins them: JAX aborts a process that waits in vain.

The first node listens on the port that JAX will use. The others send it their ranks, and continue once it has all.
"""

import contextlib
import socket
import time

from engine.errors import DeviceError
from engine.job_contract import LOG, rank_log

PATIENCE = 300.0
"""Seconds that nodes wait for each other: one may start long before the others where modules are slow to load."""

GO = b"go"
WORD = 5.0  # seconds that a connection may take to send its rank, so that strangers on that port are not waited for


def meet(coordinator: str, nodes: int, rank: int, patience: float = PATIENCE) -> None:
    """Returns, on every node, once all are there. coordinator: host:port of the first one.

    Raises DeviceError, which names the missing nodes.
    """
    host, _, port = coordinator.rpartition(":")
    end = time.monotonic() + patience
    if rank:
        _report(host.strip("[]"), int(port), nodes, rank, end)
    else:
        _gather(int(port), nodes, end)


def _gather(port: int, nodes: int, end: float) -> None:
    dual_stack = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual_stack else socket.AF_INET
    connections: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("", port), family=family, dualstack_ipv6=dual_stack))
        while missing := sorted({*range(1, nodes)} - connections.keys()):
            server.settimeout(max(0.001, end - time.monotonic()))
            try:
                connection = opened.enter_context(server.accept()[0])
            except TimeoutError:
                who = f"node{'s' if missing[1:] else ''} {', '.join(map(str, missing))} of {nodes} did"
                raise DeviceError(f"{who} not join the training: their logs, {rank_log('K')}, may say why.") from None
            with contextlib.suppress(OSError, ValueError):
                connection.settimeout(WORD)
                connections[int(connection.recv(16))] = connection
        for connection in connections.values():
            with contextlib.suppress(OSError):  # JAX will miss a node that has gone meanwhile
                connection.sendall(GO)


def _report(host: str, port: int, nodes: int, rank: int, end: float) -> None:
    while (remaining := end - time.monotonic()) > 0:
        try:
            with socket.create_connection((host, port), timeout=remaining) as connection:
                connection.sendall(b"%d" % rank)
                connection.settimeout(max(0.001, end - time.monotonic()))
                if connection.recv(len(GO)) == GO:
                    return
                raise DeviceError(f"the first of {nodes} nodes, {host}, ended before all were there: see {LOG}.")
        except OSError:
            time.sleep(0.2)
    raise DeviceError(f"node {rank} of {nodes} did not find the first one at {host}:{port}, or not all came there.")
