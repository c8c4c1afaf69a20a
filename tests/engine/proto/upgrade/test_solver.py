import pytest

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import upgrade


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("ADAGRAD", "AdaGrad"),
        ("RMSPROP", "RMSProp"),
        ("ADADELTA", "AdaDelta"),
        ("ADAM", "Adam"),
    ],
)
def test_a_type_by_number_becomes_one_by_name(old, new):
    solver = pb.SolverParameter(solver_type=old)
    assert upgrade.upgrade_solver(solver) == [f'solver_type is an old field; read as type: "{new}"']
    assert solver == pb.SolverParameter(type=new)


def test_both_types_at_once_are_refused():
    with pytest.raises(PrototxtError, match='both type: "Adam" and the old solver_type: SGD'):
        upgrade.upgrade_solver(pb.SolverParameter(type="Adam", solver_type="SGD"))


def test_nets_inside_the_solver_are_upgraded():
    relu = pb.V1LayerParameter(name="r", type=pb.V1LayerParameter.RELU)
    old = pb.NetParameter(layers=[relu])
    solver = pb.SolverParameter(train_net_param=old, test_net_param=[old, old])
    assert len(upgrade.upgrade_solver(solver)) == 3
    new = pb.NetParameter(layer=[pb.LayerParameter(name="r", type="ReLU")])
    assert solver == pb.SolverParameter(train_net_param=new, test_net_param=[new, new])


def test_a_solver_of_today_stays_as_it_is():
    solver = pb.SolverParameter(type="Adam", net="net.prototxt")
    assert upgrade.upgrade_solver(solver) == []
    assert solver == pb.SolverParameter(type="Adam", net="net.prototxt")
