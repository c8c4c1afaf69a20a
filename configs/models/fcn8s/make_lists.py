"""Lists of PASCAL VOC's pictures and of a class for each of their pixels: python make_lists.py VOCdevkit/VOC2012

Writes train.txt and val.txt here, and the classes into the folder `classes`: the pictures in SegmentationClass show
them as colours, and the net needs their numbers, 0 to 20, and 255 for what is of none.
"""

import sys
from pathlib import Path

import cv2
import numpy as np


def colours() -> np.ndarray:
    """VOC's colour of each number, (256, 3), blue, green, red: its bits, dealt out to the three from the highest on."""
    numbers = np.arange(256)
    made = np.zeros((256, 3), np.uint8)
    for place in range(8):
        for channel in range(3):  # red first
            made[:, 2 - channel] |= ((numbers >> (3 * place + channel) & 1) << (7 - place)).astype(np.uint8)
    return made


def classes(picture: np.ndarray) -> np.ndarray:
    """The numbers (height, width) of a picture's colours (height, width, 3). Raises KeyError for another colour."""
    number_of = {tuple(colour): number for number, colour in enumerate(colours().tolist())}
    shades, index = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    numbers = np.array([number_of[tuple(shade)] for shade in shades.tolist()], np.uint8)
    return numbers[index].reshape(picture.shape[:2])


def main(voc: Path) -> None:
    made = Path("classes").absolute()
    made.mkdir(exist_ok=True)
    for part in ("train", "val"):
        lines = []
        for name in (voc / "ImageSets" / "Segmentation" / f"{part}.txt").read_text().split():
            shown = cv2.imread(str(voc / "SegmentationClass" / f"{name}.png"))
            cv2.imwrite(str(made / f"{name}.png"), classes(shown))
            lines.append(f"{(voc / 'JPEGImages' / name).absolute()}.jpg {made / name}.png\n")
        Path(f"{part}.txt").write_text("".join(lines))
        print(f"{part}.txt: {len(lines)} pictures")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
