"""RPN: the object regions that a region proposal network finds, as in xyfer17's Faster R-CNN in C++."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, HostLayer, Shape, count
from engine.layers.proposal import Search, anchor_sizes, check_maps, moved_anchors, object_scores
from engine.layers.registry import layer
from engine.ops.boxes import suppress
from engine.proto import caffe_pb2 as pb


@partial(jax.jit, static_argnums=3)
def _propose(scores: Array, offsets: Array, picture: Array, search: Search) -> tuple[Array, Array, Array]:
    """Returns the boxes (K, 4) that enter the NMS, by descending score, their scores (K), and which are kept (K).

    scores (2A, H, W), offsets (4A, H, W), picture: height, width, scale.
    """
    candidates = moved_anchors(search, offsets, ends=1)  # the last pixels included
    large = jnp.all(candidates[:, 2:] - candidates[:, :2] >= search.least * picture[2], -1)
    candidates = jnp.clip(candidates, 0, jnp.stack([picture[1], picture[0], picture[1], picture[0]]))
    ranked = jnp.where(large, object_scores(scores), -jnp.inf)
    best, at = jax.lax.top_k(ranked, search.before)
    boxes = candidates[at]
    edges = boxes + jnp.asarray([0, 0, 1, 1], boxes.dtype)
    below = float(np.nextafter(np.float32(search.nms_threshold), np.float32(-1)))  # suppresses an equal overlap too
    kept = suppress(edges[None], (best > -jnp.inf)[None], below, enough=search.after)[0]
    return boxes, best, kept


@layer("RPN")
class RPN(HostLayer):
    """The best regions of an image after non-maximum suppression (NMS), at most post_nms_topn (xyfer17's Faster R-CNN).

    Each position of the map, `feat_stride` pixels apart, has one anchor for each `ratio` and `scale`, with edges at
    whole pixels. The anchors are moved by the offsets. A region counts if neither side is smaller than boxminsize, in
    pixels of the unscaled image, and is then clipped to the image. The per_nms_topn best enter the NMS, which removes
    regions that overlap a better one by nms_thresh or more. A limit of 0 means no limit, for both numbers.
    Bottoms: scores (1, 2A, H, W), those of the background first; offsets (1, 4A, H, W) of centre and size; the height,
    width and scale of the image. Tops: regions (R, 5, 1, 1): 0, x1, y1, x2, y2; and optionally their scores
    (R, 1, 1, 1). No gradient.
    """

    bottoms = (3, 3)
    tops = (1, 2)

    def setup(self, scores: Shape, offsets: Shape, picture: Shape) -> list[Shape]:
        p = self.config.rpn_param
        if not p.ratio or not p.scale or min(p.ratio) <= 0 or min(p.scale) < 1 or not p.feat_stride or not p.basesize:
            raise self.error("rpn_param needs feat_stride, basesize, and one or more of ratio and scale, all above 0.")
        edges = anchors(p)
        check_maps(self, len(edges), scores, offsets)
        if scores[0] != 1:
            raise self.error(f"{self.bottom(0)} has shape {list(scores)}; it takes one picture at a time.")
        if count(picture) < 3:
            raise self.error(f"{self.bottom(2)} has shape {list(picture)}; it must hold height, width and scale.")
        places = count(scores[1:]) // 2
        before = min(p.per_nms_topn or places, places)
        after = min(p.post_nms_topn or before, before)
        self.search = Search(
            tuple(map(tuple, edges.tolist())), p.feat_stride, p.boxminsize, before, after, p.nms_thresh
        )
        tops: list[Shape] = [(after, 5, 1, 1), (after, 1, 1, 1)]
        return tops[: len(self.config.top)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        scores, offsets, picture = map(stop_gradient, bottoms)
        boxes, best, kept = map(np.asarray, _propose(scores[0], offsets[0], picture.reshape(-1), self.search))
        chosen = kept & (np.cumsum(kept) <= self.search.after)
        tops = [np.pad(boxes[chosen], ((0, 0), (1, 0)))[..., None, None], best[chosen].reshape(-1, 1, 1, 1)]
        return [jnp.asarray(top) for top in tops[: len(self.config.top)]]


def anchors(p: pb.RPNParameter) -> np.ndarray:
    """The edges (A, 4) of the anchors at the first position, by ratio and then by scale, truncated to whole pixels."""
    half = (anchor_sizes(p.basesize, p.ratio, p.scale) - 1) / 2
    middle = np.float32(p.basesize - 1) / 2
    return np.trunc(np.concatenate([middle - half, middle + half], -1))
