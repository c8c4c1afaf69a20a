import numpy as np
import pytest

from engine.data import annotation, box_sampling
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from engine.proto import text

BOX = np.array([[0.4, 0.4, 0.6, 0.6]], np.float32)


def samplers(written):
    return text.parse(written, pb.AnnotatedDataParameter).batch_sampler


SCALES = "sampler { min_scale: 0.3 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }"


def sampled(written, trials=20, corners=BOX):
    rng = np.random.default_rng(0)
    return [box_sampling.sample(samplers(written), corners, rng) for _ in range(trials)]


def test_parts_lie_in_the_picture_and_have_the_scale_that_is_asked():
    parts = np.array(sampled(f"batch_sampler {{ {SCALES} }}"))
    assert parts.min() >= 0
    assert parts.max() <= 1
    assert np.all((annotation.area(parts) > 0.3**2 - 1e-6) & (annotation.area(parts) < 0.9**2 + 1e-6))


@pytest.mark.parametrize(
    ("asked", "measure"),
    [
        ("min_jaccard_overlap: 0.2", lambda part: annotation.overlap(part, BOX[0]) >= 0.2),
        ("max_jaccard_overlap: 0.1", lambda part: annotation.overlap(part, BOX[0]) <= 0.1),
        ("min_object_coverage: 1", lambda part: annotation.coverage(BOX[0], part) >= 1),
        ("min_sample_coverage: 0.1", lambda part: annotation.coverage(part, BOX[0]) >= 0.1),
    ],
)
def test_parts_lie_to_a_box_as_is_asked(asked, measure):
    parts = sampled(f"batch_sampler {{ {SCALES} sample_constraint {{ {asked} }} max_sample: 1 max_trials: 500 }}")
    assert all(measure(part) for part in parts)


def test_without_a_part_that_fits_there_is_none():
    constraint = f"{SCALES} sample_constraint {{ min_jaccard_overlap: 0.1 }}"
    assert sampled(f"batch_sampler {{ {constraint} }}", 1, np.zeros((0, 4), np.float32)) == [None]
    assert sampled("batch_sampler { use_original_image: false }", 1) == [None]
    assert sampled("", 1) == [None]


def test_one_of_several_samplers_parts_is_taken():
    whole = "batch_sampler { max_sample: 1 max_trials: 1 }"
    parts = sampled(f"{whole} batch_sampler {{ {SCALES} max_sample: 1 }}")
    wholes = sum(part.tolist() == [0, 0, 1, 1] for part in parts)
    assert 0 < wholes < len(parts)


@pytest.mark.parametrize(
    "wrong", ["min_scale: 0", "max_scale: 2", "min_scale: 1 max_scale: 0.5", "min_aspect_ratio: 3"]
)
def test_numbers_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(DataError, match="batch_sampler"):
        box_sampling.check(samplers(f"batch_sampler {{ sampler {{ {wrong} }} }}"))


def test_more_trials_than_can_be_made_are_refused():
    with pytest.raises(DataError, match="max_trials is 4294967295; give 1,000,000 at most"):
        box_sampling.check(samplers("batch_sampler { max_trials: 4294967295 }"))
