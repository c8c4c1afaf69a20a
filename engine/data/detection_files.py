"""The files that SSD's DetectionOutput writes its detections to: save_output_param."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.data import annotation, annotation_files
from engine.errors import DataError
from engine.host import atomic_file
from engine.proto import caffe_pb2 as pb

FORMATS = ("VOC", "COCO", "ILSVRC")


class DetectionFiles:
    """Collects detections picture by picture, in the order of a name_size_file. After every `num_test_image` pictures
    it writes the files afresh and starts again with the first picture.

    VOC: a file per class, named `PREFIX` plus the class's name, with lines `picture score xmin ymin xmax ymax`. COCO:
    PREFIX.json. ILSVRC: PREFIX.txt, with lines `picture class score xmin ymin xmax ymax`. Corners are whole pixels of
    the picture.
    """

    def __init__(self, p: pb.SaveOutputParameter, classes: Sequence[int], labels: Path, sizes: Path) -> None:
        """classes: those that can be detected; labels: the label map file; sizes: the name_size_file.

        Raises DataError if these cannot be read or do not fit together.
        """
        if p.output_format not in FORMATS:
            raise DataError(f'output_format is "{p.output_format}"; it must be one of {", ".join(FORMATS)}.')
        self.folder, self.prefix, self.format = (
            Path(p.output_directory).absolute(),
            p.output_name_prefix,
            p.output_format,
        )
        class_names = {number: name for name, number in annotation_files.read_label_map(labels, check=True).items()}
        if lacking := [c for c in classes if c not in class_names]:
            raise DataError(f"label_map_file {labels} has no name for class {lacking[0]}.")
        self.labels = {c: class_names[c] for c in classes}
        self.names, self.sizes = annotation_files.read_sizes(sizes)
        self.every = p.num_test_image if p.HasField("num_test_image") else len(self.names)
        if not 0 < self.every <= len(self.names):
            raise DataError(f"num_test_image is {self.every}, and {sizes} names {len(self.names)} pictures.")
        self.resize = p.resize_param if p.HasField("resize_param") else None
        self._pictures = 0
        self._detections: list[tuple[str, int, float, np.ndarray]] = []

    def add(self, pictures: int, rows: np.ndarray) -> None:
        """Adds the detections on so many pictures: rows (n, 7) of picture, class, score, xmin, ymin, xmax, ymax, with
        corners as fractions of the net's input. Raises DataError if a file cannot be written."""
        for picture in range(pictures):
            name, (height, width) = self.names[self._pictures], self.sizes[self._pictures]
            for row in rows[rows[:, 0] == picture]:
                box = annotation.in_picture(row[3:7], int(height), int(width), self.resize)
                left, top, *end = (float(v) for v in box)
                corner_and_size = np.round(np.array([left, top, end[0] - left, end[1] - top], np.float32) * 100) / 100
                self._detections.append((name, int(row[1]), float(row[2]), corner_and_size))
            self._pictures += 1
            if self._pictures == self.every:
                self._write()
                self._pictures, self._detections = 0, []

    def _write(self) -> None:
        with atomic_file.writing(self.folder, DataError):
            self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._texts().items():
            with atomic_file.writing(self.folder / name, DataError):
                atomic_file.replace(self.folder / name, text.encode(errors="surrogateescape"))

    def _texts(self) -> dict[str, str]:
        if self.format == "COCO":
            results = [
                {
                    "image_id": _number(name),
                    "category_id": _number(self.labels[c]),
                    "bbox": box.tolist(),
                    "score": score,
                }
                for name, c, score, box in self._detections
            ]
            return {f"{self.prefix}.json": json.dumps(results, indent=4) + "\n"}
        lines: defaultdict[str, str] = defaultdict(str)
        for name, c, score, box in self._detections:
            left, top, width, height = (int(v) for v in box)
            where = f"{score:g} {left} {top} {left + width} {top + height}\n"
            if self.format == "VOC":
                lines[f"{self.prefix}{self.labels[c]}.txt"] += f"{name} {where}"
            else:
                lines[f"{self.prefix}.txt"] += f"{name} {c} {where}"
        every = [f"{self.prefix}{name}.txt" for name in self.labels.values()] if self.format == "VOC" else []
        return {file: lines[file] for file in (*every, *([] if every else [f"{self.prefix}.txt"]))}


def _number(word: str) -> int | str:
    """A word as a number if it is one: COCO's pictures and categories are numbers."""
    return int(word) if word.isascii() and word.isdigit() and str(int(word)) == word else word
