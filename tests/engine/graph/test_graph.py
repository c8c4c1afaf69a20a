"""What a graph tells: its outputs, and where its layers were written."""

import pytest
from support.small_graphs import READ_TWICE, build

from engine.errors import LayerError


def test_outputs_are_the_blobs_that_nobody_reads_by_name():
    assert build(f'{READ_TWICE} layer {{ name: "c" type: "ReLU" bottom: "a" top: "0" }}').outputs == ("0", "b")


def test_an_error_names_the_line_where_the_layer_begins(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "a" type: "Input" top: "x" }\n\nlayer { name: "b" type: "ReLU" bottom: "y" top: "b" }\n'
    )
    with pytest.raises(LayerError, match=r'net\.prototxt:3: layer "b" \(ReLU\)'):
        build(path.read_text(), path=path)
