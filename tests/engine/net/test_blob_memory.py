"""Nets that no memory holds."""

import pytest
from support.small_nets import INPUT, ip, made

from engine.errors import NetError
from engine.host import memory
from engine.net import blob_memory


def test_a_net_that_is_far_too_large_is_refused_with_what_it_takes(monkeypatch):
    net = made(INPUT + ip("a", "x", "a", 1000))
    size = 4 * (2 * 3 + 2 * 1000)
    monkeypatch.setattr(memory, "limit", lambda: size // 2)
    blob_memory.check(net)
    monkeypatch.setattr(memory, "limit", lambda: size // 2 - 1)
    with pytest.raises(
        NetError, match=r"takes 7\.8 KiB of memory, but only 3\.9 KiB are available\. Give its data layers sm"
    ):
        blob_memory.check(net)
