"""Which layers a state leaves, how they join, what they share, and what cannot be joined."""

import pytest
from support.small_graphs import DATA, READ_TWICE, build

from engine.errors import LayerError, NetError
from engine.graph.graph import Value


def kept(rules, state):
    source = f'{DATA}layer {{ name: "a" type: "ReLU" bottom: "x" top: "a" {rules} }}'
    return "a" in [node.name for node in build(source, state).nodes]


@pytest.mark.parametrize(
    ("rules", "state", "is_kept"),
    [
        ("", "phase: TEST", True),
        ("include { phase: TRAIN }", "phase: TRAIN", True),
        ("include { phase: TRAIN }", "phase: TEST", False),
        ("include { phase: TRAIN } include { phase: TEST }", "phase: TEST", True),
        ("exclude { phase: TRAIN }", "phase: TRAIN", False),
        ("exclude { phase: TRAIN }", "phase: TEST", True),
        ("include { min_level: 2 }", "level: 1", False),
        ("include { min_level: 2 max_level: 3 }", "level: 3", True),
        ("include { max_level: 3 }", "level: 4", False),
        ('include { stage: "a" stage: "b" }', 'stage: "a"', False),
        ('include { stage: "a" stage: "b" }', 'stage: "b" stage: "a"', True),
        ('include { not_stage: "a" }', 'stage: "a"', False),
        ('include { not_stage: "a" }', 'stage: "b"', True),
    ],
)
def test_a_layer_is_kept_where_its_rules_meet_the_state(rules, state, is_kept):
    assert kept(rules, state) is is_kept


def test_an_in_place_layer_makes_the_next_version_of_its_blob():
    nodes = build(f'{DATA}layer {{ name: "a" type: "ReLU" bottom: "x" top: "x" }}').nodes
    assert (nodes[1].bottoms, nodes[1].tops) == ((Value("x", 0),), (Value("x", 1),))


SHARED = """
layer { name: "data" type: "Input" top: "x" }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" lr_mult: 1 } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" %s } }
"""


def test_parameters_of_one_name_belong_to_the_first_that_has_it():
    assert [node.owners for node in build(SHARED % "").nodes] == [{}, {}, {0: (1, 0)}]


IN_PLACE_TWICE = """
layer { name: "data" type: "Input" top: "x" }
layer { name: "a" type: "ReLU" bottom: "x" top: "x" }
layer { name: "b" type: "Power" bottom: "x" top: "b" }
layer { name: "c" type: "ReLU" bottom: "x" top: "x" }
"""

REFUSED = [
    (READ_TWICE.replace('top: "b"', 'top: "a"'), 'layer "b" (ReLU): its top "a" is made by layer "a" already'),
    (READ_TWICE.replace('top: "b"', 'top: "x"'), 'layer "b" (ReLU): it computes "x" in place, and "a" read "x"'),
    (IN_PLACE_TWICE, 'layer "c" (ReLU): it computes "x" in place, and "b" read "x" as well'),
    (SHARED % "lr_mult: 2", 'the shared parameter "w" has lr_mult 2 here and 1 in layer "a"'),
    (READ_TWICE.replace('top: "b"', 'top: "b" include { } exclude { }'), "has include and exclude rules"),
    (READ_TWICE.replace('top: "b"', 'top: "b" propagate_down: true propagate_down: true'), "2 propagate_down for 1 bo"),
]


@pytest.mark.parametrize(("source", "said"), REFUSED)
def test_a_net_that_cannot_be_joined_is_refused(source, said):
    with pytest.raises(LayerError) as error:
        build(source)
    assert said in str(error.value)


def test_a_net_of_which_no_layer_is_left_is_refused():
    with pytest.raises(NetError, match="no layer is left in phase TEST"):
        build('layer { name: "a" type: "Input" top: "x" include { phase: TRAIN } }', "phase: TEST")
