"""MultiStageMeanfield: iterations written out, what it begins with, what is refused. A case is recorded in golden."""

import numpy as np
import pytest
from support.layer_cases import Case, check_export, check_formula, check_gradient, check_refused, net_of
from support.slow_lattice import smoothed

from engine.errors import LayerError
from engine.graph import random_fields
from engine.proto import caffe_pb2 as pb
from engine.proto import text

FIELD = "theta_alpha: 5 theta_beta: 0.7 theta_gamma: 2 num_iterations: 2"
WEIGHTS = 'spatial_filter_weights_str: "3 2" bilateral_filter_weights_str: "5 1.5"'
LAYER = 'type: "MultiStageMeanfield" multi_stage_meanfield_param {{ {} {} }}'.format
BOTTOMS = {"u": (1, 2, 3, 4), "q": (1, 2, 3, 4), "picture": (1, 3, 3, 4)}


def iterated(u, q, picture, spatial, bilateral, compatibility):
    y, x = np.mgrid[:3, :4]
    place = np.stack([x.ravel(), y.ravel()], 1)
    points = place / 2, np.concatenate([place / 5, picture[0].reshape(3, -1).T / 0.7], 1)
    scores, q = u[0].reshape(2, -1), q[0].reshape(2, -1)
    for _ in range(2):
        p = np.exp(q) / np.exp(q).sum(0)
        near, alike = (smoothed(each, p.T).T for each in points)
        message = spatial[0, 0] @ near + bilateral[0, 0] @ alike
        q = scores - compatibility[0, 0] @ message
    return q.reshape(u.shape)


CASE = Case("two iterations", LAYER(FIELD, WEIGHTS), BOTTOMS, iterated)


def test_a_step_lowers_for_cuda():
    check_export(CASE)


@pytest.mark.slow
def test_tops_equal_the_formula():
    check_formula(CASE)


@pytest.mark.slow
def test_gradient_is_the_numerical_one():
    check_gradient(CASE)


def test_it_begins_with_the_weights_on_diagonals_and_potts_compatibility():
    spatial, bilateral, compatibility = CASE.net.init(seed=0)
    assert np.asarray(spatial).tolist() == [[[[3, 0], [0, 2]]]]
    assert np.asarray(bilateral).tolist() == [[[[5, 0], [0, 1.5]]]]
    assert np.asarray(compatibility).tolist() == [[[[-1, 0], [0, -1]]]]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spatial.par").write_text("3 2\n7 7")
    (tmp_path / "bilateral.par").write_text("5\n1.5\n")
    return tmp_path


def test_without_fields_the_weights_are_those_of_the_files(here):
    values = net_of(LAYER(FIELD, ""), BOTTOMS).init(seed=0)
    assert [np.diag(v[0, 0]).tolist() for v in values] == [[3, 2], [5, 1.5], [-1, -1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"weights in bilateral\.par, which is not there\. Write 2 numbers .*filter_weights_str: \"3 3\""),
        ("5", "bilateral.par has 1 numbers; 2 are needed"),
        ("5 five", "has 'five' among its weights"),
        ("5 nan", "has 'nan' among its weights"),
    ],
)
def test_files_of_no_use_are_refused(here, content, message):
    (here / "bilateral.par").unlink() if content is None else (here / "bilateral.par").write_text(content)
    with pytest.raises(LayerError, match=message):
        net_of(LAYER(FIELD, ""), BOTTOMS)


@pytest.mark.parametrize(
    ("settings", "bottoms", "message"),
    [
        (FIELD.replace("ns: 2", "ns: 1"), {}, "num_iterations is 1; it must be 2 to 1000"),
        (FIELD.replace("theta_beta: 0.7", ""), {}, "theta_beta is not given"),
        (FIELD.replace("0.7", "0"), {}, "theta_beta is 0; it must be above 0"),
        (FIELD, {"q": (1, 2, 4, 3)}, 'bottom "q" has shape'),
        (FIELD, {"picture": (1, 3, 4, 4)}, "a picture of 3 colours and 3×4 is needed"),
        (FIELD, {"picture": (1, 1, 3, 4)}, "a picture of 3 colours"),
        (FIELD, {"u": (1, 3, 3, 4), "q": (1, 3, 3, 4)}, "filter_weights_str has 2 numbers; 3 are needed"),
    ],
)
def test_wrong_configuration_is_refused(settings, bottoms, message):
    check_refused(LAYER(settings, WEIGHTS), {**BOTTOMS, **bottoms}, message)


def test_files_are_written_out_for_nets_that_go_elsewhere(here):
    config = text.parse(f'layer {{ name: "crf" {LAYER(FIELD, "")} }}', pb.NetParameter).layer[0]
    random_fields.write_out(config, str(here / "net.prototxt"))
    assert config.multi_stage_meanfield_param.spatial_filter_weights_str == "3 2 7 7"
    assert config.multi_stage_meanfield_param.bilateral_filter_weights_str == "5 1.5"
