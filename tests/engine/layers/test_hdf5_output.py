"""HDF5Output, and the file that it opens."""

import h5py
import numpy as np
import pytest
from support.small_nets import made

from engine.errors import LayerError

OUTPUT = """
layer {{ name: "in" type: "Input" top: "a" top: "b"
        input_param {{ shape {{ dim: 2 dim: 3 }} shape {{ dim: {rows} }} }} }}
layer {{ name: "out" type: "HDF5Output" bottom: "a" bottom: "b" hdf5_output_param {{ file_name: "{file}" }} }}
"""


def test_hdf5_output_hands_its_bottoms_to_a_file(tmp_path):
    net = made(OUTPUT.format(rows=2, file=tmp_path / "out.h5"))
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([1, 2])
    result = net.forward([], {"a": a, "b": b})
    sink = next(layer for layer in net.layers if layer.sink).open()
    sink.write(result.sinks["out"])
    sink.close()
    with h5py.File(tmp_path / "out.h5") as file:
        assert np.array_equal(file["data"][:, :, 0, 0], a)
        assert np.array_equal(file["label"][:, 0, 0, 0], b)


@pytest.mark.parametrize(("rows", "file", "says"), [(3, "out.h5", "equally many rows"), (2, "", "file_name is empty")])
def test_hdf5_output_refuses(rows, file, says):
    with pytest.raises(LayerError, match=rf'layer "out" \(HDF5Output\): .*{says}'):
        made(OUTPUT.format(rows=rows, file=file))
