"""Proposal: the object regions that a region proposal network finds (Ren et al. 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, HostLayer, Layer, Shape, count, rows
from engine.layers.registry import layer
from engine.ops.boxes import CodeType, decode, suppress
from engine.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class Search:
    """The settings of the search. anchors: their edges (A, 4) at the first position; stride: the distance between
    positions; least: the smallest size. Per image, `before` boxes enter the non-maximum suppression (NMS), and at most
    `after` come out of it."""

    anchors: tuple[tuple[float, ...], ...]
    stride: int
    least: float
    before: int
    after: int
    nms_threshold: float


@partial(jax.jit, static_argnums=3)
def propose(scores: Array, offsets: Array, pictures: Array, search: Search) -> tuple[Array, Array, Array]:
    """Returns the boxes (N, K, 4) that enter the NMS, by descending score, their scores (N, K), and which are kept
    (N, K).

    scores (N, 2A, H, W), offsets (N, 4A, H, W), pictures (N, 3 or more): height, width, scale of both or of each.
    """
    return jax.vmap(partial(_of_picture, search))(scores, offsets, pictures)


def _of_picture(search: Search, scores: Array, offsets: Array, picture: Array) -> tuple[Array, Array, Array]:
    height, width, scale = picture[0], picture[1], picture[2:4]
    candidates = moved_anchors(search, offsets)
    candidates = jnp.clip(candidates, 0, jnp.stack([width, height, width, height]) - 1)
    large = jnp.all(candidates[:, 2:] - candidates[:, :2] + 1 >= search.least * jnp.broadcast_to(scale[::-1], 2), -1)
    ranked = jnp.where(large, object_scores(scores), 0)
    best, at = jax.lax.top_k(ranked, search.before)
    boxes = candidates[at]
    edges = boxes + jnp.asarray([0, 0, 1, 1], boxes.dtype)
    kept = suppress(edges[None], jnp.ones((1, len(at)), bool), search.nms_threshold, enough=search.after)[0]
    return boxes, best, kept


def moved_anchors(search: Search, offsets: Array, ends: int = 0) -> Array:
    """The anchors moved by offsets (4A, H, W): boxes (H · W · A, 4). `ends` is added to the anchors' last corners."""
    anchors = jnp.asarray(search.anchors, offsets.dtype)
    down, across = (jnp.arange(n) * search.stride for n in offsets.shape[1:])
    places = jnp.stack(jnp.broadcast_arrays(across, down[:, None]), -1)[:, :, None]
    priors = anchors + jnp.concatenate([places, places + ends], -1)  # (H, W, A, 4)
    moves = jnp.moveaxis(offsets.reshape(len(anchors), 4, *offsets.shape[1:]), (0, 1), (2, 3))
    return decode(CodeType.CENTER_SIZE, moves, priors, 1.0).reshape(-1, 4)


def object_scores(scores: Array) -> Array:
    """The object scores (H · W · A) of the boxes, from scores (2A, H, W): those of the background, then of objects."""
    return jnp.moveaxis(scores[len(scores) // 2 :], 0, 2).ravel()


@layer("Proposal")
class Proposal(HostLayer):
    """The best regions of each image after NMS, at most post_nms_topn (PVANet's Faster R-CNN in C++).

    Each position of the map, `feat_stride` pixels apart, has one anchor for each `ratio` and `scale`: its area is that
    of a square of side base_size · scale, and it is `ratio` times as high as wide. The anchors are moved by the offsets
    and clipped to the image. A region smaller than min_size, in pixels of the unscaled image, gets score 0. The
    pre_nms_topn best enter the NMS.
    Bottoms: scores (N, 2A, H, W), those of the background first; offsets (N, 4A, H, W) of centre and size; the height
    and width of the image, and the scale of both or of each, one row per image or one for all. Tops: regions (R, 5):
    image, x1, y1, x2, y2, both ends included; and optionally their scores (R). No gradient.
    """

    bottoms = (3, 3)
    tops = (1, 2)

    def setup(self, scores: Shape, offsets: Shape, picture: Shape) -> list[Shape]:
        p = self.config.proposal_param
        for field in ("ratio", "scale"):
            values = getattr(p, field)
            if not values or min(values) <= 0:
                raise self.error(f"{field} is {list(values)}; proposal_param needs one or more above 0.")
        for field in ("feat_stride", "base_size", "pre_nms_topn", "post_nms_topn"):
            if getattr(p, field) < 1:
                raise self.error(f"{field} is {getattr(p, field)}; it must be 1 or more.")
        places = anchors(p)
        check_maps(self, len(places), scores, offsets)
        if not picture or picture[0] not in (1, scores[0]) or count(picture[1:]) < 3:
            raise self.error(
                f"{self.bottom(2)} has shape {list(picture)}; it must hold height, width and scale, (1, 3), or "
                f"({scores[0]}, 3) for one row per picture."
            )
        before = min(p.pre_nms_topn, count(scores[1:]) // 2)
        edges = tuple(map(tuple, places.tolist()))
        self.search = Search(edges, p.feat_stride, p.min_size, before, p.post_nms_topn, p.nms_thresh)
        most = scores[0] * p.post_nms_topn
        return [(most, 5), (most,)][: len(self.config.top)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        scores, offsets, picture = map(stop_gradient, bottoms)
        picture = jnp.broadcast_to(rows(picture), (len(scores), count(picture.shape[1:])))
        boxes, best, kept = map(np.asarray, propose(scores, offsets, picture, self.search))
        chosen = kept & (np.cumsum(kept, -1) <= self.search.after)
        numbers = np.nonzero(chosen)[0].astype(boxes.dtype)[:, None]
        tops = [np.concatenate([numbers, boxes[chosen]], 1), best[chosen]]
        return [jnp.asarray(top) for top in tops[: len(self.config.top)]]


def check_maps(node: Layer, anchors: int, scores: Shape, offsets: Shape) -> None:
    """Raises LayerError unless scores and offsets have the shapes for this number of anchors per position."""
    for i, (shape, each) in enumerate(((scores, 2), (offsets, 4))):
        if len(shape) != 4 or shape != (*scores[:1], each * anchors, *scores[2:]):
            raise node.error(
                f"{node.bottom(i)} has shape {list(shape)}; {anchors} anchors per position, one for each ratio and "
                f"scale, need (N, {each * anchors}, H, W), with the same N, H and W for scores and offsets."
            )


def anchors(p: pb.ProposalParameter) -> np.ndarray:
    """The edges (A, 4) of the anchors at the first position, by ratio and then by scale."""
    half, middle = anchor_sizes(p.base_size, p.ratio, p.scale) / 2, np.float32(p.base_size / 2)
    return np.concatenate([middle - half, middle + half], -1)


def anchor_sizes(base: int, ratios: Sequence[float], scales: Sequence[float]) -> np.ndarray:
    """Widths and heights (A, 2) of anchors, by ratio and then by scale; rounded to whole pixels before scaling."""
    ratio = np.array(ratios, np.float32)
    width = np.floor(np.sqrt(np.float32(base**2) / ratio) + np.float32(0.5))
    height = np.floor(width * ratio + np.float32(0.5))
    return (np.stack([width, height], -1)[:, None] * np.array(scales, np.float32)[:, None]).reshape(-1, 2)
