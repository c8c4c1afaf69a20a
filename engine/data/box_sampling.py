"""Samples parts of a picture to train a detector on, by how they overlap its boxes (Liu et al. 2016, section 2.2)."""

from collections.abc import Sequence

import numpy as np

from engine.data.annotation import coverage, overlap
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb

_CONSTRAINTS = (
    ("jaccard_overlap", overlap),
    ("sample_coverage", coverage),
    ("object_coverage", lambda part, boxes: coverage(boxes, part)),
)
"""What a constraint may limit between a part and a box, and the function that measures it."""


MOST_TRIALS = 1_000_000
"""The most trials of a sampler: those for a picture are all drawn at once."""


def check(samplers: Sequence[pb.BatchSampler]) -> None:
    """Raises DataError for a sampler whose numbers contradict each other."""
    for each in samplers:
        s = each.sampler
        if each.max_trials > MOST_TRIALS:
            raise DataError(f"batch_sampler: max_trials is {each.max_trials}; give {MOST_TRIALS:,} at most.")
        if not 0 < s.min_scale <= s.max_scale <= 1:
            raise DataError(
                f"batch_sampler: scales from {s.min_scale:g} to {s.max_scale:g}; they must be above 0 and 1 at most, "
                "and the second not less than the first."
            )
        if not 0 < s.min_aspect_ratio <= s.max_aspect_ratio < np.inf:
            raise DataError(
                f"batch_sampler: aspect ratios from {s.min_aspect_ratio:g} to {s.max_aspect_ratio:g}; they must be "
                "above 0, and the second not less than the first."
            )


def sample(samplers: Sequence[pb.BatchSampler], corners: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A random one of the parts (4) that the samplers find in a picture with boxes `corners` (n, 4); None if none."""
    candidates: list[np.ndarray] = []
    for each in samplers:
        if each.use_original_image:
            parts = _parts(each.sampler, each.max_trials, rng)
            meeting = parts[[_meets(part, corners, each.sample_constraint) for part in parts]]
            candidates += list(meeting[: each.max_sample] if each.HasField("max_sample") else meeting)
    return candidates[rng.integers(len(candidates))] if candidates else None


def _parts(sampler: pb.Sampler, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Random parts (trials, 4) of the picture, with areas scale², all of which lie within it."""
    scale = rng.uniform(sampler.min_scale, sampler.max_scale, trials)
    ratio = rng.uniform(sampler.min_aspect_ratio, sampler.max_aspect_ratio, trials)
    ratio = np.minimum(np.maximum(ratio, scale**2), 1 / scale**2)
    size = np.stack([scale * np.sqrt(ratio), scale / np.sqrt(ratio)], 1)
    start = rng.random((trials, 2)) * (1 - size)
    return np.concatenate([start, start + size], 1).astype(np.float32)


def _meets(part: np.ndarray, corners: np.ndarray, constraint: pb.SampleConstraint) -> bool:
    """Whether the part satisfies the constraint with at least one of the boxes; an empty constraint is satisfied."""
    fits = np.ones(len(corners), bool)
    constrained = False
    for name, measure in _CONSTRAINTS:
        for side, at_least in (("min", True), ("max", False)):
            if constraint.HasField(f"{side}_{name}"):
                constrained = True
                limit, value = np.float32(getattr(constraint, f"{side}_{name}")), measure(part, corners)
                fits &= value >= limit if at_least else value <= limit
    return not constrained or bool(fits.any())
