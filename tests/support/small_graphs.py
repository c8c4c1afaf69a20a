"""Graphs of a few layers, built from prototxts."""

from engine.graph.build import build_graph
from engine.proto import caffe_pb2 as pb
from engine.proto import text

DATA = 'layer { name: "data" type: "Input" top: "x" }\n'


def build(source, state="", path=None):
    return build_graph(text.parse(source, pb.NetParameter), text.parse(state, pb.NetState), path)


READ_TWICE = f"""{DATA}
layer {{ name: "a" type: "ReLU" bottom: "x" top: "a" }}
layer {{ name: "b" type: "ReLU" bottom: "x" top: "b" }}
"""
