"""Where a diagram's nodes lie."""

from itertools import combinations, pairwise

import pytest
from caffe.drawing import layout
from caffe.drawing.diagram import Diagram, Edge, Node


def diagram(*edges, label="name"):
    names = dict.fromkeys(name for edge in edges for name in edge)
    return Diagram("x", {name: Node((label, name), "#000000") for name in names}, tuple(Edge(*edge) for edge in edges))


TREE = diagram(("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("d", "e"))


def centres(drawing):
    return {box.node.label[1]: (box.x, box.y) for box in drawing.boxes}


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_boxes_do_not_overlap_and_lie_on_the_sheet(rankdir):
    drawing = layout.lay_out(TREE, rankdir)
    for one, other in combinations(drawing.boxes, 2):
        apart = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert apart or abs(one.y - other.y) >= (one.height + other.height) / 2
    for left, top, right, bottom in (box.corners for box in drawing.boxes):
        assert left >= 0 <= top
        assert right <= drawing.width
        assert bottom <= drawing.height


@pytest.mark.parametrize(("rankdir", "axis", "sign"), [("LR", 0, 1), ("RL", 0, -1), ("TB", 1, 1), ("BT", 1, -1)])
def test_edges_go_one_way(rankdir, axis, sign):
    places = centres(layout.lay_out(TREE, rankdir))
    for edge in TREE.edges:
        assert sign * places[edge.target][axis] > sign * places[edge.source][axis]


def test_a_node_with_one_neighbour_lies_straight_below_it():
    places = centres(layout.lay_out(TREE, "TB"))
    assert places["d"][0] == pytest.approx(places["e"][0])


def test_a_long_edge_passes_beside_what_lies_between():
    chain = diagram(("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"))
    drawing = layout.lay_out(chain, "TB")
    bends = drawing.curves[3].points[3:-1:3]
    assert len(bends) == 2
    for box, (x, _) in zip(drawing.boxes[1:3], bends, strict=True):
        assert abs(x - box.x) > box.width / 2


def test_an_edge_back_ends_where_the_blob_is():
    pair = Diagram(
        "x", {"a": Node(("a",), "#000000"), "r": Node(("r",), "#000000")}, (Edge("a", "r"), Edge("r", "a", back=True))
    )
    drawing = layout.lay_out(pair, "TB")
    down, back = (curve.points for curve in drawing.curves)
    assert down[0][1] == back[-1][1] < back[0][1] == down[-1][1]


def test_what_goes_round_is_drawn():
    assert len(layout.lay_out(diagram(("a", "b"), ("b", "c"), ("c", "a")), "TB").boxes) == 3


def test_nothing_is_an_empty_sheet():
    drawing = layout.lay_out(Diagram("x", {}, ()), "LR")
    assert drawing.width == drawing.height == 2 * layout.MARGIN


def test_a_label_has_room_between_rows():
    wide = Diagram("x", {n: Node((n,), "#000000") for n in "ab"}, (Edge("a", "b", "Batch 100000"),))
    one, other = layout.lay_out(wide, "LR").boxes
    assert other.corners[0] - one.corners[2] > layout.LETTER * 12


def test_bends_are_not_without_bound(monkeypatch):
    monkeypatch.setattr(layout, "MOST_BENDS", 3)
    names = [f"n{i}" for i in range(10)]
    edges = [*pairwise(names), *((name, "n9") for name in names[:5])]
    drawing = layout.lay_out(diagram(*edges), "TB")
    assert sum(len(curve.points) > 4 for curve in drawing.curves) == 0
