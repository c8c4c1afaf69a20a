"""Functions compiled for each size of their arguments: which, how, and how many are kept."""

import jax
import numpy as np
import pytest

from engine.net import sized
from engine.net.sized import FixedSize, Sized, Uses
from engine.ops import onednn_proof


@pytest.fixture
def traced():
    return []


@pytest.fixture
def total(traced):
    def function(x):
        traced.append(x.shape)
        return (2 * x).sum()

    return Sized(function, "total")


def ones(*shape):
    return np.ones(shape, np.float32)


def test_each_size_is_compiled_once_and_gives_its_own_value(total, traced):
    assert [float(total(ones(n))) for n in (3, 4, 3, 4)] == [6, 8, 6, 8]
    assert traced == [(3,), (4,)]


def test_another_size_is_told_of(total, log):
    total(ones(3))
    total(ones(4))
    assert set(log.messages) == {"Compiling total for another size of its inputs."}


def test_what_the_disk_has_is_not_compiled_and_not_told_of(folder, log):
    told = []
    for _ in range(2):
        Sized(lambda x: x + 1, "one more", uses=Uses(varied=True), made_of=lambda: "one more")(ones(2))
        told.append(len(log.messages))
    assert {*log.messages} == {"Compiling one more for a first size of its inputs."}
    assert told[0] == told[1]


def test_a_size_that_comes_often_is_compiled_anew_and_no_more(total, traced, monkeypatch):
    monkeypatch.setattr(sized, "OFTEN", 3)
    total(ones(3))
    for _ in range(6):
        assert total(ones(4)) == 8
    assert traced == [(3,), (4,), (4,)]


def test_the_first_size_and_those_that_come_often_are_compiled_fully(monkeypatch):
    monkeypatch.setattr(sized, "OFTEN", 3)
    uses = Uses()
    assert [uses.full(ones(n)) for n in (1, 2, 1, 2, 2, 2)] == [True, False, True, False, True, True]
    assert uses.first(ones(1))
    assert not uses.first(ones(2))
    assert not Uses(varied=True).full(ones(1))


def test_the_first_size_is_none_to_compile_fully_where_the_next_is_another(monkeypatch):
    monkeypatch.setattr(sized, "OFTEN", 2)
    varied, same = Uses(ahead=lambda: ones(2)), Uses(ahead=lambda: ones(1))
    assert (varied.first(ones(1)), varied.full(ones(1)), varied.full(ones(1))) == (False, False, True)
    assert (same.first(ones(1)), same.full(ones(1))) == (True, True)
    resumed = Uses(ahead=lambda: ones(1))
    resumed.restore(varied.counts)
    assert (resumed.first(ones(1)), resumed.full(ones(3))) == (False, False)


def test_a_count_goes_on_where_another_stopped(monkeypatch):
    monkeypatch.setattr(sized, "OFTEN", 3)
    before, after = Uses(), Uses()
    for n in (1, 2, 2):
        before.full(ones(n))
    after.restore(before.counts)
    assert (after.first(ones(2)), after.full(ones(2)), after.full(ones(3))) == (False, True, False)


def test_a_second_process_traces_nothing(folder, traced):
    def function(x):
        traced.append(x.shape)
        return x + 1

    for _ in range(2):
        assert Sized(function, "one more", made_of=lambda: "one more")(ones(2)).tolist() == [2, 2]
    assert traced == [(2,)]


def test_those_used_last_are_kept(traced, monkeypatch, request):
    monkeypatch.setattr(sized, "KEPT", 2)
    total = request.getfixturevalue("total")
    for n in (1, 2, 1, 3, 1, 2):
        total(ones(n))
    assert traced == [(1,), (2,), (3,), (2,)]


def test_small_sizes_that_come_seldom_do_without_onednn(monkeypatch):
    monkeypatch.setattr(sized, "OFTEN", 3)
    monkeypatch.setattr(onednn_proof, "_proved", lambda: True)
    calls = []

    @jax.jit
    def part(x):  # what is traced of it for one way is not taken for the other
        calls.append((x.shape[0], onednn_proof.passed()))
        return x + 1

    total = Sized(lambda x: part(x).sum(), "total", light=lambda x: len(x) < 5)
    for n in (1, 2, 5, 2, 2):
        assert total(ones(n)) == 2 * n
    assert calls == [(1, True), (2, False), (5, True), (2, True)]


def test_a_function_of_one_size_is_kept_too(folder, traced, monkeypatch):
    monkeypatch.setattr(onednn_proof, "_proved", lambda: pytest.fail("tries oneDNN for what has no convolutions"))

    def function(x):
        traced.append(x.shape)
        return x + 1

    for _ in range(2):
        kept = FixedSize(function, made_of="one more")
        assert [kept(ones(2)).tolist() for _ in range(2)] == [[2, 2]] * 2
    assert traced == [(2,)]


def test_what_cannot_be_told_by_its_value_is_compiled_all_the_same(folder, traced):
    kept = FixedSize(lambda x: traced.append(x.shape) or x + 1, made_of=object())
    assert [kept(ones(2)).tolist() for _ in range(2)] == [[2, 2]] * 2
    assert traced == [(2,)]
