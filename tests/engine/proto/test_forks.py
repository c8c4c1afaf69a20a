from engine.graph import layer_names
from engine.proto import caffe_pb2 as pb
from engine.proto import forks


def test_no_field_of_caffes_own_is_given_to_a_fork():
    own = {field for message in pb.DESCRIPTOR.message_types_by_name.values() for field in message.fields_by_name}
    assert not forks.FIELDS.keys() & own


def test_no_layer_of_caffes_own_is_given_to_a_fork():
    assert not forks.TYPES.keys() & layer_names.BVLC
