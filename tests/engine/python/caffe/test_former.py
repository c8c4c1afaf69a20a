"""Names that Caffe's Python interface had before 2015: what is to be written now is said."""

import caffe
import pytest


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    file = tmp_path_factory.mktemp("former") / "net.prototxt"
    file.write_text('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }')
    return caffe.Net(str(file), caffe.TEST)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("set_phase_test", r"caffe\.Net\(FILE, WEIGHTS, caffe\.TEST\)"),
        ("set_mode_gpu", r"caffe\.set_mode_gpu\(\)"),
        ("set_raw_scale", r".*caffe\.io\.Transformer\(.*t\.set_raw_scale"),
    ],
)
def test_what_nets_had_is_told(net, name, instead):
    with pytest.raises(AttributeError, match=f"'Net' object has had no {name} since 2015; write {instead}"):
        getattr(net, name)


def test_other_names_are_missing_as_ever(net):
    assert not hasattr(net, "fc6")
    assert not hasattr(caffe, "mpi_init")
    with pytest.raises(AttributeError, match="module 'caffe' has had no set_phase_test since 2015"):
        caffe.set_phase_test  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'CaffeNet'"):
        from caffe import CaffeNet  # noqa: F401
