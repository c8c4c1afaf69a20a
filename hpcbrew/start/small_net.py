"""A small net for pictures of some size and number: sizes of layers and batches, and the prototxts made of them."""

from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine import shipped
from hpcbrew.start.pictures import Division, Pictures

SIDES = (32, 64, 96)
"""The side of the squares that pictures are stretched to, where they are not small and all of one size."""

SMALLEST = 7
"""Halving ends with a side of so much or less: what is left goes into the inner product."""

EPOCHS = 30
FEWEST, MOST = 300, 20000
"""Iterations of a training."""

LARGEST_TEST = 100
"""Pictures of a test batch."""


@dataclass(frozen=True)
class SmallNet:
    """All that the templates in `templates/start` put in. `channels`: of each convolution; a pooling halves after each.

    `size` is (height, width) of the net's input. `test_iter` · `test_batch` is the number of validation pictures, or as
    little above it as can be; of the test pictures, `final_iter` · `test_batch` likewise.
    """

    name: str
    root: str
    size: tuple[int, int]
    stretch: bool
    grey: bool
    classes: int
    channels: tuple[int, ...]
    hidden: int
    batch: int
    test_batch: int
    test_iter: int
    final_iter: int
    max_iter: int
    test_interval: int
    display: int
    train: int
    val: int
    test: int


def design(name: str, pictures: Pictures, division: Division, side: int | None = None) -> SmallNet:
    """`side` is asked for, or else follows from the pictures."""
    size, stretch = _size(pictures, side)
    few = len(division.train) < 2000
    blocks, left = 0, min(size)
    while left > SMALLEST:
        blocks, left = blocks + 1, -(-left // 2)
    batch = min(32 if few else 64, len(division.train))
    epoch = -(-len(division.train) // batch)
    max_iter = min(max(EPOCHS * epoch, FEWEST), MOST)
    test_batch, test_iter = batches(len(division.val))
    return SmallNet(
        name=name,
        root=f"{str(pictures.root.absolute()).rstrip('/')}/",
        size=size,
        stretch=stretch,
        grey=pictures.grey,
        classes=len(pictures.classes),
        channels=tuple(min((16 if few else 32) << n, 128) for n in range(max(blocks, 1))),
        hidden=128 if few else 256,
        batch=batch,
        test_batch=test_batch,
        test_iter=test_iter,
        final_iter=-(-len(division.test) // test_batch),
        max_iter=max_iter,
        test_interval=max(max_iter // 20, min(epoch, max_iter)),
        display=max(max_iter // 50, 1),
        train=len(division.train),
        val=len(division.val),
        test=len(division.test),
    )


def batches(pictures: int) -> tuple[int, int]:
    """The size and number of batches that hold so many pictures, as few of them twice as can be; the largest such."""
    largest = min(pictures, LARGEST_TEST)
    sizes = range(largest, largest // 4, -1)
    size = min(sizes, key=lambda each: -pictures % each)
    return size, -(-pictures // size)


def prototxts(net: SmallNet) -> dict[str, str]:
    """`solver.prototxt`, `train_val.prototxt` and `deploy.prototxt`."""
    environment = Environment(
        loader=FileSystemLoader(shipped.folder("templates") / "start"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - prototxts: strings go through the filter `quote`
    )
    environment.filters["quote"] = _quoted
    files = ("solver.prototxt", "train_val.prototxt", "deploy.prototxt")
    return {file: environment.get_template(f"{file}.j2").render(vars(net)) for file in files}


def _quoted(text: str) -> str:
    """A string of a prototxt."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _size(pictures: Pictures, side: int | None) -> tuple[tuple[int, int], bool]:
    """(height, width) of what the net takes, and whether pictures are stretched to it."""
    if side:
        return (side, side), True
    if pictures.height is None or pictures.width is None:
        return (SIDES[1], SIDES[1]), True
    if pictures.alike and max(pictures.height, pictures.width) <= SIDES[1]:
        return (pictures.height, pictures.width), False
    shorter = min(pictures.height, pictures.width)
    chosen = min(SIDES, key=lambda each: abs(each - shorter))
    return (chosen, chosen), True
