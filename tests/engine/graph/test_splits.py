"""Splits: their names, what they leave of the file's names, and bottoms that nobody makes."""

import pytest
from support.small_graphs import DATA, READ_TWICE, build

from engine.errors import LayerError


def test_a_top_that_is_read_twice_is_split_under_caffes_names():
    nodes = build(READ_TWICE).nodes
    assert [node.name for node in nodes] == ["data", "x_data_0_split", "a", "b"]
    assert [list(node.config.bottom) for node in nodes[2:]] == [["x_data_0_split_0"], ["x_data_0_split_1"]]


def test_a_layer_behind_a_split_knows_its_bottoms_by_the_names_in_the_file():
    assert [node.origin.bottoms for node in build(READ_TWICE).nodes[1:]] == [("x",)] * 3


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (READ_TWICE.replace('bottom: "x" top: "b"', 'bottom: "xx" top: "b"'), 'its bottom "xx". Did you mean "x"?'),
        (
            f'{DATA}layer {{ name: "b" type: "ReLU" bottom: "later" top: "b" }}',
            'its bottom "later". A layer can only read',
        ),
    ],
)
def test_a_bottom_that_no_layer_before_makes_is_refused(source, said):
    with pytest.raises(LayerError) as error:
        build(source)
    assert said in str(error.value)


def test_a_loss_weight_counts_as_a_reader_and_goes_to_the_splits_first_top():
    nodes = build(
        READ_TWICE.replace('bottom: "x" top: "b"', 'bottom: "a" top: "b"').replace(
            'top: "a"', 'top: "a" loss_weight: 2', 1
        )
    ).nodes
    assert [node.name for node in nodes] == ["data", "a", "a_a_0_split", "b"]
    assert list(nodes[1].config.loss_weight) == [0]
    assert list(nodes[2].config.loss_weight) == [2, 0]
    assert list(nodes[3].config.bottom) == ["a_a_0_split_1"]
