"""caffe device_query."""

import jax

from engine.cli import main
from engine.devices import no_gpu


def test_every_device_is_named(capsys):
    assert main(["device_query"]) == 0
    said = capsys.readouterr().err
    assert "Device id:                     0" in said
    assert "Platform:                      cpu" in said


def test_a_gpu_that_is_not_there_is_refused(capsys):
    assert main(["device_query", "-gpu", "0"]) == 2
    assert "caffe: error: " in capsys.readouterr().err


def test_of_a_gpu_that_cannot_be_used_it_is_said_why_and_the_cpu_shown(capsys, monkeypatch):
    found = jax.local_devices()

    def unusable():
        if update.get("jax_platforms") != "cpu":
            raise RuntimeError("Unable to initialize backend 'cuda': INTERNAL: no supported devices found.")
        return found

    update: dict[str, str] = {}
    monkeypatch.setattr(jax, "local_devices", unusable)
    monkeypatch.setattr(jax.config, "update", update.__setitem__)
    monkeypatch.setattr(no_gpu, "there", lambda: True)
    monkeypatch.setattr(no_gpu, "installed", lambda: True)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert main(["device_query"]) == 0
    said = capsys.readouterr().err
    assert "GPUs cannot be used here: no supported devices found. There is no GPU with that number" in said
    assert "Platform:                      cpu" in said
