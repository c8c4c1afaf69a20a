"""Passes of a large net, one after the other."""

import jax.numpy as jnp
import pytest
from support.small_nets import SMALL, made

from engine.net import blob_memory
from engine.solver import in_turn


class Computed:
    """What a pass makes, as far as it is waited for."""

    waited = False

    def block_until_ready(self) -> "Computed":
        self.waited = True
        return self


@pytest.mark.parametrize(("beyond", "waits"), [(-1, True), (0, False)])
def test_a_large_net_is_waited_for_and_a_small_one_is_not(monkeypatch, beyond: int, waits: bool):
    net, earlier = made(SMALL), Computed()
    monkeypatch.setattr(in_turn, "LARGE", blob_memory.size(net) + beyond)
    in_turn.settle(net)([jnp.zeros(2), earlier])
    assert earlier.waited == waits


def test_a_gpu_is_given_its_work_ahead(monkeypatch):
    net, earlier = made(SMALL), Computed()
    monkeypatch.setattr(in_turn, "LARGE", 0)
    monkeypatch.setattr(in_turn, "on_cpu", lambda: False)
    in_turn.settle(net)([earlier])
    assert not earlier.waited
