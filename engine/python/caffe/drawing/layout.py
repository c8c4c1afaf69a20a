"""Places the nodes of a diagram: in rows by their distance from the data, with few crossings. Pure.

After Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system structures": rows by the
longest path, the order within a row by the mean position of the neighbours, and positions as near to these neighbours
as the space allows. An edge across several rows has a bend, a node of zero width, in each of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .diagram import Diagram, Edge, Node

LETTER, LINE, FONT = 7.0, 16.0, 12
"""Pixels: the mean width of a letter, the height of a line, the size of the font."""
GAP, ROW_GAP, MARGIN = 24.0, 44.0, 16.0
"""Pixels between the nodes of a row, between rows, and around the drawing."""
SWEEPS = 4
"""How often the rows are sorted by their neighbours: more sweeps seldom change anything."""
MOST_BENDS = 100_000
"""Bends in a drawing; beyond this number, edges are drawn straight."""

Point = tuple[float, float]
Key = str | tuple[int, int]
"""A node's key, or for a bend the numbers of the edge and the row."""


@dataclass(frozen=True)
class Box:
    """A node with its centre and size, in pixels."""

    node: Node
    x: float
    y: float
    width: float
    height: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        w, h = self.width / 2, self.height / 2
        return self.x - w, self.y - h, self.x + w, self.y + h

    @property
    def octagon(self) -> tuple[Point, ...]:
        """The box with its corners cut off."""
        (left, top, right, bottom), c = self.corners, 6.0
        upper = ((left, top + c), (left + c, top), (right - c, top), (right, top + c))
        return (*upper, (right, bottom - c), (right - c, bottom), (left + c, bottom), (left, bottom - c))

    @property
    def baselines(self) -> tuple[float, ...]:
        """The y coordinate of each line of the label."""
        first = self.y - LINE * (len(self.node.label) - 1) / 2 + FONT / 3
        return tuple(first + LINE * i for i in range(len(self.node.label)))


@dataclass(frozen=True)
class Curve:
    """An edge as cubic Bézier curves, a first point and three more for each curve, with an arrow at its end.

    label_at: where the label is centred, on the first curve.
    """

    points: tuple[Point, ...]
    label: str
    label_at: Point


@dataclass(frozen=True)
class Drawing:
    """Boxes and curves on a sheet of width × height pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]


def lay_out(diagram: Diagram, rankdir: str) -> Drawing:
    """The drawing of a diagram in the direction `rankdir`: TB, top to bottom; BT, LR or RL."""
    sideways = rankdir in ("LR", "RL")
    sizes = {key: _size(node) for key, node in diagram.nodes.items()}
    # The layout is computed top to bottom, in coordinates (along the row, across rows). For a horizontal drawing the
    # boxes are transposed before it and the positions after it.
    extents: dict[Key, Point] = {key: (h, w) if sideways else (w, h) for key, (w, h) in sizes.items()}
    rows = _rows(diagram)
    chains = _chains(diagram.edges, rows)
    order = _ordered(diagram, rows, chains)
    along = _places(order, chains, extents)
    gaps = [ROW_GAP] * len(order)
    for edge in diagram.edges if sideways else ():  # here a label's width has to fit between the rows
        gaps[rows[edge.source]] = max(gaps[rows[edge.source]], LETTER * len(edge.label) + ROW_GAP)
    middle, depth = _across(order, extents, gaps)
    least = min((along[key] - extents.get(key, (0, 0))[0] / 2 for key in along), default=0.0)
    most = max((along[key] + extents.get(key, (0, 0))[0] / 2 for key in along), default=0.0)

    def turned(a: float, b: float) -> Point:
        a, b = a - least + MARGIN, depth - b if rankdir in ("BT", "RL") else b
        return (b, a) if sideways else (a, b)

    curves = []
    for edge, chain in zip(diagram.edges, chains, strict=True):
        line = _line(edge, chain, along, middle, extents)
        points = tuple(turned(*p) for p in _bezier(line))
        curves.append(Curve(points, edge.label, _label_place(points)))
    boxes = tuple(Box(node, *turned(along[key], middle[key]), *sizes[key]) for key, node in diagram.nodes.items())
    breadth = most - least + 2 * MARGIN
    return Drawing(*((depth, breadth) if sideways else (breadth, depth)), boxes, tuple(curves))


def _size(node: Node) -> Point:
    return LETTER * max(map(len, node.label)) + 20, LINE * len(node.label) + 10


def _rows(diagram: Diagram) -> dict[str, int]:
    """Each node's row: one more than that of the lowest node above it."""
    below: dict[str, list[str]] = defaultdict(list)
    waits = dict.fromkeys(diagram.nodes, 0)
    for edge in diagram.edges:
        if not edge.back:
            below[edge.source].append(edge.target)
            waits[edge.target] += 1
    rows = dict.fromkeys(diagram.nodes, 0)
    ready = [key for key, n in waits.items() if not n]
    placed: set[str] = set()
    remaining = iter(diagram.nodes)
    while len(placed) < len(diagram.nodes):
        # In a cycle, start with the first node in the net's order.
        key = ready.pop() if ready else next(k for k in remaining if k not in placed)
        placed.add(key)
        for other in below[key]:
            waits[other] -= 1
            if other not in placed:
                rows[other] = max(rows[other], rows[key] + 1)
                if not waits[other]:
                    ready.append(other)
    return rows


def _chains(edges: Sequence[Edge], rows: dict[str, int]) -> list[list[Key]]:
    """Each edge's nodes and bends, from its source to its target."""
    chains: list[list[Key]] = []
    bends = 0
    for n, edge in enumerate(edges):
        first, last = rows[edge.source], rows[edge.target]
        between: list[Key] = []
        if not edge.back and last - first > 1 and bends + last - first <= MOST_BENDS:
            between = [(n, row) for row in range(first + 1, last)]
            bends += len(between)
        chains.append([edge.source, *between, edge.target])
    return chains


def _ordered(diagram: Diagram, rows: dict[str, int], chains: Sequence[Sequence[Key]]) -> list[list[Key]]:
    """The nodes and bends of each row, from left to right."""
    order: list[list[Key]] = [[] for _ in range(max(rows.values(), default=-1) + 1)]
    for key in diagram.nodes:
        order[rows[key]].append(key)
    for chain in chains:
        for bend in chain[1:-1]:
            order[bend[1]].append(bend)  # type: ignore[index]
    above, below = _neighbours(chains)
    # Places are fractions of a row, since rows differ in their numbers of nodes.
    place = {key: i / len(row) for row in order for i, key in enumerate(row)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        beside = above if down else below
        for row in order if down else order[::-1]:
            wanted = {key: _mean([place[other] for other in beside[key]], place[key]) for key in row}
            row.sort(key=wanted.__getitem__)
            place.update((key, i / len(row)) for i, key in enumerate(row))
    return order


def _neighbours(chains: Iterable[Sequence[Key]]) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    """For each node and bend, its neighbours above and its neighbours below."""
    above: dict[Key, list[Key]] = defaultdict(list)
    below: dict[Key, list[Key]] = defaultdict(list)
    for chain in chains:
        for one, other in pairwise(chain):
            below[one].append(other)
            above[other].append(one)
    return above, below


def _places(
    order: Sequence[Sequence[Key]], chains: Iterable[Sequence[Key]], extents: dict[Key, Point]
) -> dict[Key, float]:
    """The position of each node's and bend's centre along its row."""
    above, below = _neighbours(chains)
    along = {
        key: float(x) for row in order for key, x in zip(row, _spread([0.0] * len(row), row, extents), strict=True)
    }
    for rows, beside in ((order, above), (order[::-1], below), (order, above)):
        for row in rows:
            wanted = [_mean([along[other] for other in beside[key]], along[key]) for key in row]
            along.update(zip(row, _spread(wanted, row, extents), strict=True))
    return along


def _spread(wanted: Sequence[float], row: Sequence[Key], extents: dict[Key, Point]) -> list[float]:
    """The positions without overlap that are nearest to the wanted ones, by least squares.

    After subtracting the space that everything to the left needs, positions must not decrease: this is isotonic
    regression, solved by pooling adjacent violators.
    """
    if not row:
        return []
    room = [0.0]
    for one, other in pairwise(row):
        room.append(room[-1] + GAP + (extents.get(one, (0, 0))[0] + extents.get(other, (0, 0))[0]) / 2)
    pools: list[tuple[float, int]] = []  # sum and number of the members that lie side by side
    for want, need in zip(wanted, room, strict=True):
        total, count = want - need, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            pooled, n = pools.pop()
            total, count = total + pooled, count + n
        pools.append((total, count))
    levels = [total / count for total, count in pools for _ in range(count)]
    return [level + need for level, need in zip(levels, room, strict=True)]


def _across(
    order: Sequence[Sequence[Key]], extents: dict[Key, Point], gaps: Sequence[float]
) -> tuple[dict[Key, float], float]:
    """The position of each node's and bend's centre across the rows, and the total depth. A gap follows each row."""
    middle: dict[Key, float] = {}
    at = MARGIN
    for i, row in enumerate(order):
        size = max(extents.get(key, (0, 0))[1] for key in row)
        middle.update(dict.fromkeys(row, at + size / 2))
        at += size + (gaps[i] if i + 1 < len(order) else 0)
    return middle, at + MARGIN


def _line(
    edge: Edge,
    chain: Sequence[Key],
    along: dict[Key, float],
    middle: dict[Key, float],
    extents: dict[Key, Point],
) -> list[Point]:
    """The points from the source's lower side over the bends to the target's upper side.

    A back edge runs upwards, beside the edge in the other direction.
    """
    source, *bends, target = chain
    aside, down = (8.0, -0.5) if edge.back else (0.0, 0.5)
    first = along[source] + aside, middle[source] + down * extents[source][1]
    last = along[target] + aside, middle[target] - down * extents[target][1]
    return [first, *((along[bend], middle[bend]) for bend in bends), last]


def _bezier(line: Sequence[Point]) -> list[Point]:
    """Curves through the points, each starting and ending at right angles to the rows."""
    points = [line[0]]
    for (a, b), (c, d) in pairwise(line):
        points += [(a, (b + d) / 2), (c, (b + d) / 2), (c, d)]
    return points


def _label_place(points: Sequence[Point]) -> Point:
    """A point past the middle of the first curve, where edges from the same node have separated."""
    t = 0.65
    weights = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3
    x, y = (sum(w * p[axis] for w, p in zip(weights, points, strict=False)) for axis in (0, 1))
    return x, y


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
