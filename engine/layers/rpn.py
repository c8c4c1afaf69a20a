"""RPN: the regions that a region proposal network takes for objects, as Faster R-CNN in C++ of xyfer17 finds them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, HostLayer, Shape, count
from engine.layers.proposal import Search
from engine.layers.registry import layer
from engine.ops.boxes import CodeType, decode, suppress
from engine.proto import caffe_pb2 as pb


@partial(jax.jit, static_argnums=3)
def _propose(scores: Array, offsets: Array, picture: Array, search: Search) -> tuple[Array, Array, Array]:
    """The boxes (K, 4) that go into the suppression, best first, their scores (K), and which are kept (K).

    scores (2A, H, W), offsets (4A, H, W), picture: height, width, scale.
    """
    anchors = jnp.asarray(search.anchors, offsets.dtype)
    down, across = (jnp.arange(n) * search.stride for n in scores.shape[1:])
    places = jnp.stack(jnp.broadcast_arrays(across, down[:, None]), -1)[:, :, None]
    priors = anchors + jnp.concatenate([places, places + 1], -1)  # (H, W, A, 4), the last pixels included
    moves = jnp.moveaxis(offsets.reshape(len(anchors), 4, *scores.shape[1:]), (0, 1), (2, 3))
    found = decode(CodeType.CENTER_SIZE, moves, priors, 1.0).reshape(-1, 4)
    large = jnp.all(found[:, 2:] - found[:, :2] >= search.least * picture[2], -1)
    found = jnp.clip(found, 0, jnp.stack([picture[1], picture[0], picture[1], picture[0]]))
    sure = jnp.where(large, jnp.moveaxis(scores[len(anchors) :], 0, 2).ravel(), -jnp.inf)
    best, at = jax.lax.top_k(sure, search.before)
    boxes = found[at]
    edges = boxes + jnp.asarray([0, 0, 1, 1], boxes.dtype)
    below = float(np.nextafter(np.float32(search.nms_threshold), np.float32(-1)))  # as large goes, too
    kept = suppress(edges[None], (best > -jnp.inf)[None], below, enough=search.after)[0]
    return boxes, best, kept


@layer("RPN")
class RPN(HostLayer):
    """The best regions of a picture after suppression, post_nms_topn at most (xyfer17's Faster R-CNN in C++).

    At each place of the map, `feat_stride` pixels apart, lies an anchor for each `ratio` and `scale`, of edges that are
    whole pixels. What the offsets make of it counts where neither side is smaller than boxminsize, in pixels of the
    unscaled picture, and is then cut to the picture. The per_nms_topn best go into the suppression, which takes away
    what overlaps a better one by nms_thresh or more. For 0 of either number there is no limit.
    Bottoms: scores (1, 2A, H, W), those of the background first; offsets (1, 4A, H, W) of centre and size; the height,
    width and scale of the picture. Tops: regions (R, 5, 1, 1): 0, x1, y1, x2, y2; and, where a second one is named,
    their scores (R, 1, 1, 1). No gradient.
    """

    bottoms = (3, 3)
    tops = (1, 2)

    def setup(self, scores: Shape, offsets: Shape, picture: Shape) -> list[Shape]:
        p = self.config.rpn_param
        if not p.ratio or not p.scale or min(p.ratio) <= 0 or min(p.scale) < 1 or not p.feat_stride or not p.basesize:
            raise self.error("rpn_param needs feat_stride, basesize, and one or more of ratio and scale, all above 0.")
        edges = anchors(p)
        for i, (shape, each) in enumerate(((scores, 2), (offsets, 4))):
            needed = (1, each * len(edges), *scores[2:])
            if len(shape) != 4 or shape != needed:
                raise self.error(
                    f"{self.bottom(i)} has shape {list(shape)}; {len(edges)} anchors a place, of each ratio and scale, "
                    f"need (1, {each * len(edges)}, H, W), of one H and W."
                )
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
        found = [np.pad(boxes[chosen], ((0, 0), (1, 0)))[..., None, None], best[chosen].reshape(-1, 1, 1, 1)]
        return [jnp.asarray(top) for top in found[: len(self.config.top)]]


def anchors(p: pb.RPNParameter) -> np.ndarray:
    """The edges (A, 4) of the anchors at the first place, by ratio and then by scale, fractions cut off."""
    ratio = np.array(p.ratio, np.float32)
    width = np.floor(np.sqrt(np.float32(p.basesize**2) / ratio) + np.float32(0.5))
    height = np.floor(width * ratio + np.float32(0.5))
    size = np.stack([width, height], -1)[:, None] * np.array(p.scale, np.float32)[:, None]
    half, middle = (size.reshape(-1, 2) - 1) / 2, np.float32(p.basesize - 1) / 2
    return np.trunc(np.concatenate([middle - half, middle + half], -1))
