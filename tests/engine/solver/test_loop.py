"""Several iterations in one call."""

import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_nets import INPUT, LABELS, SMALL, X, ip, loss, made

from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.solver import loop, step, updates
from engine.solver.backward import NOTHING, Inputs, Keep
from engine.solver.gradients import Rates, Settings
from engine.solver.loop import Each
from engine.solver.step import Carry

DRAWS = 'layer { name: "d" type: "Dropout" bottom: "a" top: "a" }\n'
RANDOM = INPUT + LABELS + ip("a", "x", "a", 4) + DRAWS + ip("b", "a", "b", 3) + loss("b")
PARAM = pb.SolverParameter(momentum=0.9)
SETTINGS = Settings.from_solver(PARAM)
ONE_DEVICE = step.DataParallel()
ALL = 7
RATES = [Rates(np.float32(0.1 / (k + 1)), np.float32(0.9)) for k in range(ALL)]


def _batch(k: int, rows: int = 2) -> Inputs:
    return {"x": np.tile(X, (rows // 2, 1)) * np.float32(k + 1), "t": np.float32([k % 3] * rows)}


BATCHES = [_batch(k) for k in range(ALL)]


class _Run:
    """Iterations of a net, called for so many at a time."""

    def __init__(self, net: Net, keep: Keep = NOTHING) -> None:
        self.net, self.update = net, updates.from_solver(PARAM)
        self.iterate = loop.compiled(net, self.update, SETTINGS, keep)

    def __call__(self, counts: Sequence[int], batches: Sequence[Inputs] = BATCHES) -> tuple[Carry, list[Each]]:
        params = [jnp.asarray(value) for value in self.net.init(1)]
        carry, each, given = Carry(params, self.update.init(params)), list[Each](), iter(batches)
        for count in counts:
            end = len(each) + count
            while len(each) < end:  # in one call, but where the machine was at other things for longer than a moment
                done = self.iterate(*carry, RATES[len(each) : end], lambda: next(given), jax.random.key(0), len(each))
                carry = Carry(done.last.params, done.last.history)
                each += done.each
        return carry, each


@pytest.fixture(scope="module")
def run() -> _Run:
    return _Run(made(RANDOM))


def _bytes(tree: object) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize("counts", [[7], [1, 6], [3, 3, 1]])
def test_how_many_are_taken_together_changes_no_bit(counts: list[int], run: _Run):
    assert _bytes(run(counts)) == _bytes(run([1] * ALL))


def test_they_are_the_iterations_that_there_would_be_one_by_one(run: _Run):
    (params, history), each = run([ALL])
    iterate = step.compiled(run.net, run.update, SETTINGS)
    begun = [jnp.asarray(value) for value in run.net.init(1)]
    carry = Carry(begun, run.update.init(begun))
    for k, (rates, looked_at) in enumerate(zip(RATES, each, strict=True)):
        done = iterate(*carry, rates, lambda k=k: BATCHES[k], jax.random.key(0), k)
        carry = Carry(done.params, done.history)
        assert float(looked_at.loss) == pytest.approx(float(done.loss), rel=1e-5)
    for a, b in zip(jax.tree.leaves((params, history)), jax.tree.leaves(carry), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_batches_of_another_size_have_their_turn(run: _Run):
    odd = [*BATCHES[:2], _batch(2, rows=4), _batch(3, rows=6), *BATCHES[4:]]
    carry, each = run([ALL], odd)
    assert len(each) == ALL
    assert _bytes(carry) == _bytes(run([2, 1, 1, 3], odd)[0])
    assert _bytes(carry) != _bytes(run([ALL])[0])


def test_a_call_does_not_wait_for_data_that_stalls(run: _Run):
    drawn = list[Inputs]()

    def next_batch() -> Inputs:
        time.sleep(0.6 * loop.MOMENT)
        drawn.append(BATCHES[0])
        return drawn[-1]

    params = [jnp.asarray(value) for value in run.net.init(1)]
    done = run.iterate(params, run.update.init(params), RATES, next_batch, jax.random.key(0), 0)
    assert 1 <= len(done.each) == len(drawn) <= 2


def test_each_tells_of_the_first_label_that_is_no_class():
    _, each = _Run(made(SMALL))([3], [BATCHES[0], {**BATCHES[1], "t": np.float32([0, 5])}, BATCHES[2]])
    assert [np.asarray(told).ravel().tolist() for one in each for told in one.labels] == [[0, 0], [1, 5], [0, 2]]


def test_each_tells_whether_its_numbers_are_finite():
    _, each = _Run(made(SMALL), Keep(finite=True))([3], [BATCHES[0], {**BATCHES[1], "x": X * np.inf}, BATCHES[2]])
    assert [bool(np.all(one.finite)) for one in each] == [True, False, False]


def test_parameters_and_history_are_used_up(run: _Run):
    params = [jnp.asarray(value) for value in run.net.init(1)]
    given = Carry(params, run.update.init(params))
    batches = iter(BATCHES)
    run.iterate(*given, RATES[:2], lambda: next(batches), jax.random.key(0), 0)
    assert all(array.is_deleted() for array in jax.tree.leaves(given))


LARGE = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 5000000 } } }\n' + ip(
    "a", "x", "a", 1
)


@pytest.mark.parametrize(
    ("net", "settings", "keep"),
    [
        (SMALL, {"iter_size": 2}, NOTHING),
        (SMALL, {}, Keep(values=True)),
        (SMALL, {}, Keep(steps=True)),
        (SMALL, {}, Keep(debug=True)),
        (LARGE, {}, NOTHING),
    ],
)
def test_one_is_taken_at_a_time_where_it_is_long_or_looked_into(net: str, settings: dict[str, int], keep: Keep):
    assert loop.most(made(SMALL), SETTINGS, NOTHING, ONE_DEVICE) == loop.TOGETHER
    assert loop.most(made(net), Settings.from_solver(pb.SolverParameter(**settings)), keep, ONE_DEVICE) == 1
