"""Designs a small net for pictures of a given size and number: its layers and batches, and the prototxts."""

from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine import shipped
from hpcbrew.start.pictures import Division, Pictures

SIDES = (32, 64, 96)
"""The sides of the squares to which pictures are stretched, unless they are small and all of one size."""

SMALLEST = 7
"""Pooling stops halving at a side of at most this: what is left goes into the inner product."""

EPOCHS = 30
FEWEST, MOST = 300, 20000
"""The fewest and the most iterations of a training."""

LARGEST_TEST = 100
"""The most pictures in a test batch."""


@dataclass(frozen=True)
class SmallNet:
    """The values for the templates in `templates/start`. `channels`: of each convolution; a pooling layer halves the
    size after each.

    `size` is the (height, width) of the net's input. `test_iter` · `test_batch` is the number of validation pictures,
    or as little above it as possible; `final_iter` · `test_batch` is the same for the test pictures.
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
    """Designs a net. `side`: the requested size of the input; by default it follows from the pictures."""
    size, stretch = _size(pictures, side)
    few = len(division.train) < 2000
    blocks, remaining = 0, min(size)
    while remaining > SMALLEST:
        blocks, remaining = blocks + 1, -(-remaining // 2)
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
    """Returns the size and number of batches for that many pictures, with as few repeated pictures as possible; of such
    sizes, the largest."""
    largest = min(pictures, LARGEST_TEST)
    sizes = range(largest, largest // 4, -1)
    size = min(sizes, key=lambda each: -pictures % each)
    return size, -(-pictures // size)


def prototxts(net: SmallNet) -> dict[str, str]:
    """Returns `solver.prototxt`, `train_val.prototxt` and `deploy.prototxt`."""
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
    """Returns a string as written in a prototxt."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _size(pictures: Pictures, side: int | None) -> tuple[tuple[int, int], bool]:
    """Returns the (height, width) of the net's input, and whether pictures are stretched to it."""
    if side:
        return (side, side), True
    if pictures.height is None or pictures.width is None:
        return (SIDES[1], SIDES[1]), True
    if pictures.alike and max(pictures.height, pictures.width) <= SIDES[1]:
        return (pictures.height, pictures.width), False
    shorter = min(pictures.height, pictures.width)
    nearest = min(SIDES, key=lambda each: abs(each - shorter))
    return (nearest, nearest), True
