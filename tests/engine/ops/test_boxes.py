import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.ops import boxes
from engine.proto import caffe_pb2 as pb

RNG = np.random.default_rng(0)
CODES = pb.PriorBoxParameter


def drawn(*shape):
    corner, size = RNG.random((*shape, 2)) / 3, 0.1 + RNG.random((*shape, 2)) / 2
    return np.concatenate([corner, corner + size], -1).astype(np.float32)


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),
        ((0, 0, 2, 2), (5, 5, 6, 6), 0),
        ((2, 2, 0, 0), (0, 0, 2, 2), 0),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),
    ],
)
def test_overlap_is_the_common_part_of_both(a, b, share):
    assert float(boxes.overlap(jnp.array(a, float), jnp.array(b, float))) == pytest.approx(share)


def test_a_box_the_wrong_way_round_has_no_area():
    assert boxes.area(jnp.array([[0, 0, 2, 3], [2, 0, 0, 3.0]])).tolist() == [6, 0]


@pytest.mark.parametrize("code", [CODES.CORNER, CODES.CENTER_SIZE, CODES.CORNER_SIZE])
@pytest.mark.parametrize("variances", [1.0, np.float32([0.1, 0.1, 0.2, 0.3])])
def test_what_is_encoded_decodes_to_itself(code, variances):
    there, priors = drawn(7), drawn(7)
    offsets = boxes.encode(code, there, priors, variances)
    np.testing.assert_allclose(boxes.decode(code, offsets, priors, variances), there, atol=1e-5)


def test_offsets_of_the_centre_are_in_units_of_the_prior():
    found = boxes.decode(CODES.CENTER_SIZE, jnp.array([1.0, 0, np.log(2), 0]), jnp.array([0.0, 0, 2, 4]), 0.5)
    np.testing.assert_allclose(found, [2 - np.sqrt(2), 0, 2 + np.sqrt(2), 4], atol=1e-6)


def suppressed(rows, usable, threshold, eta):
    kept = []
    for i in np.flatnonzero(usable):
        if all(boxes.overlap(rows[i], rows[j]) <= threshold for j in kept):
            kept.append(i)
            threshold *= eta if threshold > 0.5 else 1
    return np.isin(np.arange(len(rows)), kept)


@pytest.mark.parametrize(("threshold", "eta"), [(0.3, 1), (0.0, 1), (0.7, 0.8)])
@pytest.mark.parametrize("table", [0, 1024])
def test_suppression_keeps_what_overlaps_nothing_better(monkeypatch, threshold, eta, table):
    monkeypatch.setattr(boxes, "TABLE", table)
    rows, usable = drawn(2, 12), RNG.random((2, 12)) > 0.2
    kept = jax.jit(lambda a, b: boxes.suppress(a, b, threshold, eta))(rows, usable)
    assert np.array_equal(kept, [suppressed(*each, threshold, eta) for each in zip(rows, usable, strict=True)])
    assert 2 <= kept.sum() < usable.sum()


def test_of_no_boxes_none_is_kept():
    assert boxes.suppress(drawn(2, 0), np.zeros((2, 0), bool), 0.5).shape == (2, 0)


def test_more_boxes_may_be_enough_than_jax_can_count():
    rows, usable = jnp.asarray(drawn(1, 3)), jnp.ones((1, 3), bool)
    assert np.array_equal(boxes.suppress(rows, usable, 0.5, enough=2**32 - 1), boxes.suppress(rows, usable, 0.5))
