"""The garbage collector while modules are loaded."""

import gc
import weakref

import pytest

from engine.host import collector


class Node:
    """Can be part of a circle."""


def circle():
    node = Node()
    node.itself = node
    return weakref.ref(node)


@pytest.fixture(autouse=True)
def _thawed():
    yield
    gc.unfreeze()


def test_what_is_loaded_is_passed_by_and_what_comes_later_is_collected():
    with collector.paused():
        assert not gc.isenabled()
        loaded = circle()
    later = circle()
    assert gc.isenabled()
    gc.collect()
    assert loaded() is not None
    assert later() is None


def test_who_collects_nothing_goes_on_so():
    gc.disable()
    try:
        with collector.paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_module_that_is_missing_leaves_the_collector_on():
    with pytest.raises(ModuleNotFoundError), collector.paused():
        raise ModuleNotFoundError
    assert gc.isenabled()
