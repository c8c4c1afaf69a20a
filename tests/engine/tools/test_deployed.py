"""The flags of classify.py and detect.py."""

import os
import struct

import click
import numpy as np
import pytest

from engine.errors import DataError
from engine.tools import deployed


def parsed(*args):
    @click.command()
    @deployed.flags
    def command(of):
        return of

    return command.main(list(args), standalone_mode=False)


def test_the_defaults_are_bvlcs():
    args = parsed()
    assert args.model_def.endswith("/deploy.prototxt")
    assert args.raw_scale == 255
    assert args.channel_swap == [2, 1, 0]


def test_what_are_no_numbers_is_told():
    with pytest.raises(click.BadParameter, match='"2,b" is not a comma-separated list of whole numbers'):
        parsed("--channel_swap", "2,b")


def test_flags_are_keywords_of_a_classifier(tmp_path):
    np.save(tmp_path / "mean.npy", np.ones(3))
    args = parsed("--mean_file", str(tmp_path / "mean.npy"), "--input_scale", "0.5", "--channel_swap", "")
    settings = deployed.preprocessing(args)
    np.testing.assert_array_equal(settings.pop("mean"), np.ones(3))
    assert settings == {"input_scale": 0.5, "raw_scale": 255.0, "channel_swap": None}


def test_a_missing_file_is_told_with_its_flag():
    with pytest.raises(DataError, match=r"gone: no such file; name yours with --model_def FILE"):
        deployed.check(parsed("--model_def", "gone"))


def test_several_arrays_are_no_array(tmp_path):
    np.savez(tmp_path / "x.npz", a=1)
    with pytest.raises(DataError, match="several arrays"):
        deployed.load_array(tmp_path / "x.npz")


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + bytes(16)


SHAPE = "{{'descr': '{}', 'fortran_order': False, 'shape': ({},)}}"


@pytest.mark.parametrize(
    "data",
    [
        b"junk",
        b"PK\x03\x04 is how a .npz begins",
        npy("{'descr': '''<f8"),
        npy("(" * 99),
        npy(SHAPE.format("<f8", 10**13)),
        npy(SHAPE.format("<f8", 10**30)),
        npy(SHAPE.format("|O", 1)),
        npy(SHAPE.format("<U1", 1)),
    ],
    ids=[
        "text",
        "zip",
        "open quotation mark",
        "open brackets",
        "large",
        "larger than a number",
        "objects",
        "text array",
    ],
)
def test_what_is_no_array_of_numbers_is_told(tmp_path, data):
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.npy: (cannot be read as \.npy|holds values of type <U1)"):
        deployed.load_array(tmp_path / "x.npy")


def test_a_pipe_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(DataError, match="is a pipe, but a file is needed"):
        deployed.load_array(tmp_path / "x.npy")
