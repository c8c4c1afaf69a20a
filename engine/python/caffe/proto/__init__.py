"""`caffe.proto.caffe_pb2`: Caffe's messages."""

from . import caffe_pb2

__all__ = ["caffe_pb2"]
