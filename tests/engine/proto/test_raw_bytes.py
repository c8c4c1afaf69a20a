import os

from hypothesis import given
from hypothesis import strategies as st

from engine.proto import caffe_pb2 as pb
from engine.proto import raw_bytes


@given(st.binary())
def test_any_bytes_come_back(data):
    text = raw_bytes.decoded(data)
    assert raw_bytes.encoded(text) == data
    assert raw_bytes.native(text) == os.fsdecode(data)
    assert pb.NetParameter(name=text).name == text
