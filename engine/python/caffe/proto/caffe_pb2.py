"""Stands for the engine's module, so that there is one set of message classes even with this folder on sys.path."""

import sys

from engine.proto import caffe_pb2

sys.modules[__name__] = caffe_pb2
