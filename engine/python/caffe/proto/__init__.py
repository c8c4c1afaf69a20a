"""`caffe.proto.caffe_pb2` is the engine's own module: one schema, one set of message classes."""

import sys

from engine.proto import caffe_pb2

sys.modules[f"{__name__}.caffe_pb2"] = caffe_pb2
