import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import raw_bytes
from hpcbrew.errors import RequestError
from hpcbrew.plan import overrides

SOLVER = pb.SolverParameter(base_lr=0.01, test_iter=[10], type="SGD")


def changed(*assignments: str) -> pb.SolverParameter:
    return overrides.apply(SOLVER, [overrides.split(a) for a in assignments])


def test_numbers_words_and_enums_are_set() -> None:
    solver = changed("base_lr=0.5", "type=Nesterov", "solver_mode=CPU")
    assert (solver.base_lr, solver.type, solver.solver_mode) == (0.5, "Nesterov", pb.SolverParameter.CPU)


def test_a_name_of_any_bytes_is_set() -> None:
    assert changed("net=caf\udce9.prototxt").net == raw_bytes.decoded(b"caf\xe9.prototxt")


def test_a_repeated_field_takes_several() -> None:
    assert list(changed("stepvalue=10,20").stepvalue) == [10, 20]
    assert list(changed("test_iter=5").test_iter) == [5]


def test_the_solver_given_stays_as_it_was() -> None:
    changed("base_lr=0.5")
    assert SOLVER.base_lr == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("base_lr", "write KEY=VALUE"),
        ("=1", "write KEY=VALUE"),
        ("\udcff=1", "a solver has no field"),
        ("base_rl=1", "Did you mean 'base_lr'"),
        ("base_lr=fast", '^--set base_lr=fast: "base_lr" is a number'),
        (
            "base_lr=1,2",
            "base_lr takes a single value. To train with each of these: hpcbrew sweep SOLVER --set base_lr=1,2",
        ),
        ("solver_mode=TPU", "TPU"),
        ("net_param=x", "is a message"),
        ("base_lr=1 max_iter: 5", "sets more than base_lr"),
    ],
)
def test_what_a_solver_does_not_take_is_refused_by_name(assignment: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        changed(assignment)
