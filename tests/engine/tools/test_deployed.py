"""The flags of classify.py and detect.py."""

import argparse

import numpy as np
import pytest

from engine.errors import DataError
from engine.tools import deployed


def parsed(*args):
    parser = argparse.ArgumentParser()
    deployed.add_flags(parser)
    return parser.parse_args(args)


def test_the_defaults_are_bvlcs():
    args = parsed()
    assert args.model_def.name == "deploy.prototxt"
    assert args.raw_scale == 255
    assert args.channel_swap == [2, 1, 0]


def test_flags_are_keywords_of_a_classifier(tmp_path):
    np.save(tmp_path / "mean.npy", np.ones(3))
    args = parsed("--mean_file", str(tmp_path / "mean.npy"), "--input_scale", "0.5", "--channel_swap", "")
    settings = deployed.preprocessing(args)
    np.testing.assert_array_equal(settings.pop("mean"), np.ones(3))
    assert settings == {"input_scale": 0.5, "raw_scale": 255.0, "channel_swap": None}


def test_a_missing_file_is_told_with_its_flag():
    with pytest.raises(DataError, match=r"gone: no such file; --model_def FILE"):
        deployed.check(parsed("--model_def", "gone"))


def test_several_arrays_are_no_array(tmp_path):
    np.savez(tmp_path / "x.npz", a=1)
    with pytest.raises(DataError, match="several arrays"):
        deployed.load_array(tmp_path / "x.npz")
