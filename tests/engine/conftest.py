"""What the tests of all rooms of the engine use."""

import logging

import pytest


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the engine says in Caffe's log."""
    monkeypatch.setattr(logging.getLogger("caffe"), "propagate", True)
    caplog.set_level(logging.INFO, "caffe")
    return caplog
