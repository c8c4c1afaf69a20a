import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.devices import rendezvous
from engine.errors import DeviceError


@pytest.fixture
def coordinator() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_all_go_on_when_all_are_there(coordinator: str) -> None:
    with ThreadPoolExecutor() as nodes:
        met = [nodes.submit(rendezvous.meet, coordinator, 3, rank, 60) for rank in (2, 0, 1)]
    assert [one.result() for one in met] == [None] * 3


def test_who_does_not_come_is_named_by_all_that_came(coordinator: str) -> None:
    with ThreadPoolExecutor() as nodes:
        first, second = (nodes.submit(rendezvous.meet, coordinator, 4, rank, 2) for rank in (0, 1))
    with pytest.raises(DeviceError, match=r"nodes 2, 3 of 4 did not join the training: their logs, rank-K\.log"):
        first.result()
    with pytest.raises(DeviceError, match=r"the first of 4 nodes.* ended before|node 1 of 4 .*or not all came there"):
        second.result()


def test_without_the_first_the_others_give_up(coordinator: str) -> None:
    with pytest.raises(DeviceError, match=rf"node 1 of 2 did not find the first one at {coordinator}"):
        rendezvous.meet(coordinator, 2, 1, 1)


def test_what_else_comes_to_the_port_counts_for_nothing(coordinator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "WORD", 0.1)
    host, _, port = coordinator.rpartition(":")
    with ThreadPoolExecutor() as nodes:
        first = nodes.submit(rendezvous.meet, coordinator, 2, 0, 60)
        for said in (b"GET / HTTP/1.1\r\n", b""):
            while True:
                try:
                    stranger = socket.create_connection((host, int(port)), timeout=5)
                    break
                except ConnectionRefusedError:
                    continue
            with stranger:
                stranger.sendall(said)
        second = nodes.submit(rendezvous.meet, coordinator, 2, 1, 60)
    assert (first.result(), second.result()) == (None, None)
