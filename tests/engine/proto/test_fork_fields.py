import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import fork_fields


@pytest.mark.parametrize("fork", fork_fields.FIELDS)
def test_no_field_of_caffe_proto_is_given_to_a_fork(fork):
    for message, names in fork_fields.FIELDS[fork].items():
        assert not set(names.split()) & set(getattr(pb, message).DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(
    ("message", "field", "fork"),
    [
        ("ImageDataParameter", "cache", "NVIDIA"),
        ("LayerParameter", "hard_mining_param", "Cascade R-CNN"),
        ("V1LayerParameter", "hard_mining_param", "Cascade R-CNN"),
        ("PoolingParameter", "temporal_pad", "C3D"),
        ("VideoDataParameter", "encoded", "temporal segment"),
        ("SolverParameter", "stagelr", "YOLO"),
        ("EltwiseParameter", "coeff_blob", "LRCN"),
        ("MemoryDataParameter", "source", "CaffeOnSpark"),
    ],
)
def test_a_field_is_of_the_fork_whose_block_has_it(message, field, fork):
    owner = fork_fields.owner(message, field)
    assert owner is not None
    assert owner.startswith(fork)


def test_a_field_that_nobody_has_is_no_forks():
    assert fork_fields.owner("DataParameter", "sauce") is None
