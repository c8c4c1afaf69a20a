"""`caffe.NCCL`: trains one net with several processes or threads, each with a solver on its own device.

All run on one machine. Gradients are sent through a socket to the first process, which returns their mean.
"""

import os
import secrets
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from engine.errors import DeviceError
from engine.host import atomic_file

from . import mode
from .solvers import Solver

PATIENCE = 300.0
"""Seconds within which all processes must connect."""

WAIT = 5.0
"""Seconds within which a connected process must identify itself."""

WORD = struct.Struct("<q")


def has_nccl() -> bool:
    """Whether several devices can train one net from Python."""
    return True


class NCCL:
    """Averages the gradients of the processes' solvers: `solver.add_callback(nccl)`.

    Each process must have set its rank and the number of processes, with set_solver_rank and set_solver_count.
    """

    def __init__(self, solver: Solver, uid: bytes | str) -> None:
        """Waits for the other processes, which have the same `uid`. Raises DeviceError if they do not connect."""
        self._solver = solver
        self._count, self._rank = mode.solver_count(), mode.solver_rank()
        name = uid.decode() if isinstance(uid, bytes) else str(uid)
        if not name.isalnum():
            raise DeviceError(f"NCCL: {uid!r} is not a uid; make one for all processes with caffe.NCCL.new_uid().")
        folder = Path(tempfile.gettempdir()) / f"caffe-nccl-{name}"
        self._peers: list[socket.socket] = []
        if self._count > 1:
            self._peers = (
                _accept_all(folder, name, self._count) if self._rank == 0 else [_connect(folder, name, self._rank)]
            )

    @staticmethod
    def new_uid() -> bytes:
        """A name for a group of processes. Make it before they are started and pass it to each."""
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # since each process sees all their GPUs
        return secrets.token_hex(16).encode()

    def bcast(self) -> None:
        """Copies the first process's parameters to all others."""
        blobs = self._solver.net._owned
        arrays = [blob.data for blob in blobs]
        for blob, value in zip(blobs, self._combined(arrays, lambda rows: rows[0]), strict=True):
            blob.data[...] = value

    def on_start(self) -> None:
        """Does nothing: there is no work before the passes."""

    def on_gradients_ready(self) -> None:
        """Replaces the gradients in each process by the mean over all. Raises DeviceError if a process has ended."""
        blobs = self._solver.net._owned
        mean = self._combined([blob.diff for blob in blobs], lambda rows: np.asarray(np.mean(rows, 0, np.float32)))
        for blob, value in zip(blobs, mean, strict=True):
            blob.diff[...] = value

    def __call__(self, layer: int) -> None:
        """Does nothing. Lets it serve as a net's hook, for layer_wise_reduce: gradients are averaged all at once."""

    def _combined(
        self, arrays: Sequence[np.ndarray], joined: Callable[[list[np.ndarray]], np.ndarray]
    ) -> list[np.ndarray]:
        """In every process, the result of `joined` on the values of all ranks."""
        if self._count == 1:
            return list(arrays)
        flat = np.concatenate([np.ravel(a) for a in arrays]) if arrays else np.zeros(0, np.float32)
        try:
            if self._rank == 0:
                flat = joined([flat, *(_received(peer, flat.size) for peer in self._peers)])
                for peer in self._peers:
                    _send(peer, flat)
            else:
                _send(self._peers[0], flat)
                flat = _received(self._peers[0], flat.size)
        except OSError as e:
            raise DeviceError(
                f"NCCL: another of the {self._count} processes ended or was lost, and this one cannot go on without it "
                f"({e or type(e).__name__}). Resume from the last snapshot."
            ) from e
        cut = np.cumsum([a.size for a in arrays])[:-1]
        return [part.reshape(a.shape) for part, a in zip(np.split(flat, cut), arrays, strict=True)]


def _accept_all(folder: Path, name: str, count: int) -> list[socket.socket]:
    """The first process's connections to the others, by rank. Its port is written to a folder closed to other users."""
    peers: dict[int, socket.socket] = {}
    end = time.monotonic() + PATIENCE
    folder.mkdir(mode=0o700)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            with atomic_file.writing(folder / "port", DeviceError):
                atomic_file.replace(folder / "port", str(server.getsockname()[1]).encode())
            while len(peers) < count - 1:
                server.settimeout(max(0.001, end - time.monotonic()))
                peer, _ = server.accept()
                peer.settimeout(WAIT)
                with suppress(OSError):  # someone else may have connected to the port
                    if secrets.compare_digest(bytes(_exactly(peer, len(name))), name.encode()):
                        (rank,) = WORD.unpack(_exactly(peer, WORD.size))
                        peer.settimeout(None)
                        peers[rank] = peer
    except TimeoutError:
        missing = ", ".join(str(r) for r in range(1, count) if r not in peers)
        raise DeviceError(f"NCCL: of {count} solvers, {missing} did not connect within {PATIENCE:.0f} s.") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [peers[rank] for rank in sorted(peers)]


def _connect(folder: Path, name: str, rank: int) -> socket.socket:
    """Connects to the first process, whose port is in `folder`, and identifies itself. Raises DeviceError."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(OSError):
            peer = socket.create_connection(("127.0.0.1", int((folder / "port").read_text())), timeout=WAIT)
            peer.settimeout(None)
            peer.sendall(name.encode() + WORD.pack(rank))
            return peer
        time.sleep(0.05)
    raise DeviceError(f"NCCL: solver {rank} did not find the first one within {PATIENCE:.0f} s.")


def _send(peer: socket.socket, values: np.ndarray) -> None:
    peer.sendall(WORD.pack(values.size))
    peer.sendall(values.tobytes())


def _received(peer: socket.socket, size: int) -> np.ndarray:
    (found,) = WORD.unpack(_exactly(peer, WORD.size))
    if found != size:
        raise DeviceError(f"NCCL: another process trains a different net: it has {found} values, this one {size}.")
    return np.frombuffer(_exactly(peer, 4 * size), np.float32)


def _exactly(peer: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view, at = memoryview(data), 0
    while at < count:
        received = peer.recv_into(view[at:])
        if not received:
            raise ConnectionError("it closed the connection")
        at += received
    return data
