"""The trial of oneDNN's calls: what it says of forms that work, that are wrong, and that are slow."""

from types import SimpleNamespace

import pytest

from engine.ops import convolution_cpu, onednn_trial

FORMS = ("forward", "input_gradient", "weight_gradient")


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The plain forms in place of oneDNN's, for one case."""
    stand_in = SimpleNamespace(**{name: getattr(convolution_cpu, name) for name in FORMS})
    monkeypatch.setattr(onednn_trial, "convolution_onednn", stand_in)
    monkeypatch.setattr(onednn_trial, "CASES", {"1×1": onednn_trial.CASES["1×1"]})
    monkeypatch.setattr(onednn_trial.onednn, "product", lambda a, b, transposed: a @ b.T)
    monkeypatch.setattr(onednn_trial.resource, "setrlimit", lambda *_: None)
    return stand_in


def test_right_forms_pass(forms, capsys: pytest.CaptureFixture[str]):
    onednn_trial.main()
    assert capsys.readouterr().out == "passed\n"


@pytest.mark.parametrize(("form", "product"), [*zip(FORMS, ("y", "the gradient of x", "that of w"), strict=True)])
def test_a_wrong_product_is_named(forms, form, product, capsys: pytest.CaptureFixture[str]):
    right = getattr(convolution_cpu, form)
    setattr(forms, form, lambda *given: 1.001 * right(*given))
    onednn_trial.main()
    assert capsys.readouterr().out == f"{product} of a convolution of 1×1 is wrong.\n"


def test_so_is_a_wrong_product_of_matrices(forms, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(onednn_trial.onednn, "product", lambda a, b, transposed: 1.001 * (a @ b.T))
    onednn_trial.main()
    assert capsys.readouterr().out == "a product of 1 rows with 96 is wrong.\n"


def test_slow_forms_fail(forms, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    timed = onednn_trial._timed
    slow = {True: 1.0, False: 100.0}
    monkeypatch.setattr(onednn_trial, "_timed", lambda f, given: (slow[f is convolution_cpu], timed(f, given)[1]))
    onednn_trial.main()
    assert capsys.readouterr().out == "it takes 100.0 ms for what takes 1.0 ms without it.\n"
