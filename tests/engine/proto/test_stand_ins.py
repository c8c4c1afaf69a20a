import re

import pytest

from engine.proto import forks, layer_names, stand_ins


@pytest.mark.parametrize("kind", stand_ins.STAND_INS)
def test_it_is_said_for_layers_of_forks_that_are_not_here(kind):
    assert kind in forks.TYPES
    assert kind not in layer_names.TYPES


def test_what_stands_in_is_here():
    names = {word for said in stand_ins.STAND_INS.values() for word in re.findall(r"\b[A-Z]\w+", said)}
    assert names - layer_names.TYPES <= {
        *("A", "Augmentation", "Caffe", "HDF5", "In", "LMDB", "Leave", "MAX", "PROD", "YOLOv2"),
    }


def test_it_is_said_where_a_net_is_refused():
    assert layer_names.unknown("ConvolutionRistretto").endswith(" Convolution is the same in float32.")
