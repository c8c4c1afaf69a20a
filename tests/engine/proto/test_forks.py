from engine.proto import caffe_pb2 as pb
from engine.proto import forks


def test_no_field_of_caffes_own_is_given_to_a_fork():
    assert not forks.FIELDS.keys() & set(pb.LayerParameter.DESCRIPTOR.fields_by_name)
