"""Which nets a solver asks for, in which states; and what it may not leave out."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import PrototxtError, SolverError
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver import settings, updates

BASE = 'base_lr: 1 lr_policy: "fixed" '


def _param(more: str) -> pb.SolverParameter:
    return text.parse(BASE + more, pb.SolverParameter)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "needs one train net, by net, net_param, train_net or train_net_param; it has none"),
        ('net: "a" train_net: "b"', "it has net and train_net"),
        ('net: "a" test_iter: 1', "test_iter without test_interval"),
        ('net: "a" test_iter: -1 test_interval: 1', "test_iter is -1; it may not be negative"),
        ('train_net: "a" test_net: "b" test_net: "c" test_iter: 1 test_interval: 1', "2 test nets and 1 test_iter"),
        ('net: "a" test_iter: 1 test_interval: 1 test_state {} test_state {}', "2 test_state for 1 test nets"),
        ('net: "a" average_loss: 0', "average_loss is 0"),
        ('net: "a" snapshot: -5', "snapshot is -5"),
        ('net: "a" iter_size: 0', "iter_size is 0"),
        ('net: "a" regularization_type: "l2"', 'unknown regularization_type "l2"; there are L1 and L2'),
        ('net: "a" type: "sgd"', 'unknown solver type "sgd"; there are SGD, .*Did you mean "SGD"'),
        ('net: "a" type: "Adamax"', 'unknown solver type "Adamax".*Did you mean "Adam"'),
        ('net: "a" type: "AdaGrad" momentum: 0.9', "AdaGrad has no momentum"),
        ('net: "a" type: "RMSProp" momentum: 0.9', "RMSProp has no momentum"),
        ('net: "a" type: "RMSProp" rms_decay: 1', r"rms_decay is 1; for RMSProp it must lie in \[0, 1\)"),
        ('net: "a" type: "Adam" momentum: 1', r"momentum is 1; for Adam it must lie in \[0, 1\)"),
        ('net: "a" type: "Adam" momentum2: -0.5', "momentum2 is -0.5; for Adam"),
        ('net: "a" type: "AdaDelta" momentum: 1.5', "momentum is 1.5; for AdaDelta"),
    ],
)
def test_settings_that_cannot_work_are_refused(more, message):
    with pytest.raises(SolverError, match=message):
        settings.check(_param(more))


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ('net: "a"\nlr_policy: "stepp"', 3),
        ('lr_policy: "fixed"\nnet: "a"\n\ntype: "Adamm"', 5),
        ('lr_policy: "fixed"\nnet: "a"\ntest_iter: 1\ntest_iter: -2\ntest_interval: 1', 4),
        ('lr_policy: "step" gamma: -0.1 stepsize: 1\nnet: "a"', 2),
    ],
)
def test_a_setting_at_fault_is_named_with_its_line(more, line, tmp_path):
    file = tmp_path / "solver.prototxt"
    file.write_text(f"base_lr: 1\n{more}\n")
    with pytest.raises(SolverError, match=rf"^{file}:{line}: \w"), settings.named(file, settings.read(file)):
        settings.check(settings.read(file))


def test_a_setting_from_elsewhere_has_no_line(tmp_path):
    file = tmp_path / "solver.prototxt"
    file.write_text(f'{BASE}\nnet: "a"\nmax_iter: 5\n')
    changed = settings.read(file)
    changed.max_iter = -5
    with pytest.raises(SolverError, match=rf"^{file}: max_iter is -5"), settings.named(file, changed):
        settings.check(changed)


def test_every_type_that_passes_has_its_rule():
    assert set(settings.DECAYS) == set(updates.UPDATES)


def test_no_jax_is_needed():
    code = "import sys, engine.solver.settings; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_train_state_goes_over_the_nets_own_state(tmp_path: Path):
    (tmp_path / "net.prototxt").write_text('name: "n" state { level: 3 stage: "own" }')
    param = _param('net: "net.prototxt" train_state { level: 5 stage: "asked" }')
    state = settings.train_net(param, tmp_path / "solver.prototxt").state
    assert (state.phase, state.level, list(state.stage)) == (pb.TRAIN, 5, ["own", "asked"])


def test_test_nets_come_in_caffes_order(tmp_path: Path):
    for name in ("net", "other"):
        (tmp_path / name).write_text(f'name: "{name}"')
    param = _param('net: "net" test_net: "other" test_net_param { name: "param" }')
    param.test_iter.extend([1, 1, 1, 1])
    param.test_state.extend([pb.NetState(stage=[str(i)]) for i in range(4)])
    specs = settings.test_nets(param, tmp_path / "solver.prototxt", untested=False)
    assert [s.param.name for s in specs] == ["param", "other", "net", "net"]
    assert [list(s.state.stage) for s in specs] == [["0"], ["1"], ["2"], ["3"]]
    assert {s.state.phase for s in specs} == {pb.TEST}


def test_a_net_file_that_is_not_there_is_named():
    with pytest.raises(PrototxtError, match=r"nowhere\.prototxt: no such file"):
        settings.train_net(_param('net: "nowhere.prototxt"'), None)
    with pytest.raises(PrototxtError, match="cannot be read: File name too long"):
        settings.train_net(_param(f'net: "{"n" * 300}"'), "solver.prototxt")


@pytest.mark.parametrize(
    ("prefix", "want"), [("", "solver"), ('snapshot_prefix: "folder"', "folder/solver"), ('snapshot_prefix: "a"', "a")]
)
def test_snapshot_prefix_is_completed_from_the_solvers_name(prefix, want, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "solver.prototxt").write_text(BASE + prefix)
    assert settings.read("solver.prototxt").snapshot_prefix == want


def test_test_iter_0_is_no_test():
    param = _param('net: "nowhere" test_iter: 0')
    settings.check(param)
    assert settings.test_nets(param, None, untested=False) == []


def test_test_iter_0_leaves_the_nets_to_who_asks_for_them():
    param = _param('net_param { name: "n" } test_iter: 0')
    (spec,) = settings.test_nets(param, None, untested=True)
    assert (spec.param.name, spec.state.phase) == ("n", pb.TEST)


@pytest.mark.parametrize("name", ["other/machine/net.prototxt", "/other/machine/net.prototxt"])
def test_a_net_that_is_not_there_names_the_solver_the_line_and_the_file_of_that_name(tmp_path, name):
    solver = tmp_path / "solver.prototxt"
    solver.write_text(f'# of another machine\nnet: "{name}"\n')
    with pytest.raises(PrototxtError, match=rf"^{solver}:2: net: {name}: no such file\."):
        settings.train_net(_param(f'net: "{name}"'), solver)
    (tmp_path / "net.prototxt").write_text("")
    with pytest.raises(PrototxtError, match=rf'{tmp_path}/net.prototxt has that name: write net: "net.prototxt"\.$'):
        settings.train_net(_param(f'net: "{name}"'), solver)
    with pytest.raises(PrototxtError, match=rf"^{solver}: net: set/net.prototxt: no such file"):
        settings.train_net(_param('net: "set/net.prototxt"'), solver)


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/net.prototxt", f"/{'x' * 300}"])
def test_a_name_that_no_file_can_have_names_the_solver_and_the_line(tmp_path, name):
    solver = tmp_path / "solver.prototxt"
    solver.write_text(f'\nnet: "{name}"\n')
    with pytest.raises(PrototxtError, match=rf"solver\.prototxt:2: net: .*{name[-9:]}.*[Nn]ame too long"):
        settings.train_net(_param(f'net: "{name}"'), solver)
