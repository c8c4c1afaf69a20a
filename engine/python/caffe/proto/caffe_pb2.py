"""The engine's own module: one schema, one set of message classes, also where scripts have this folder on sys.path."""

import sys

from engine.proto import caffe_pb2

sys.modules[__name__] = caffe_pb2
