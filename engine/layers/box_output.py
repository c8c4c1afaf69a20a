"""BoxOutput and BoxGroupOutput: the regions proposed by feature maps of several sizes (MS-CNN, Cai et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.layers.base import Array, Arrays, Context, HostLayer, Shape
from engine.layers.box_regression import normalization
from engine.layers.registry import layer
from engine.ops import region_boxes
from engine.ops.boxes import suppress
from engine.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class Level:
    """Maps of one size. fields: the width and height of the default boxes at each position, one per group of maps."""

    fields: tuple[tuple[int, int], ...]
    stride: int


@dataclass(frozen=True)
class Search:
    """The settings of the search. Per image, `before` regions enter the non-maximum suppression (NMS), and at most
    `after` come out of it; None means no limit.

    pixel: 1 if a region's last row and column belong to it, 0 if they are its edges.
    """

    levels: tuple[Level, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    farthest: float
    widest: float
    least_score: float
    least_size: float
    mode: str
    nms_threshold: float
    before: int | None
    after: int | None
    pixel: int


@partial(jax.jit, static_argnums=2)
def propose(scores: Sequence[Array], moves: Sequence[Array], search: Search) -> tuple[Array, Array, Array]:
    """Returns the regions (N, K, 4) that enter the NMS, by descending score, their scores (N, K), and which are kept
    (N, K).

    scores: (N, G, H, W) for each level, with G fields per position; moves: (N, G, 4, H, W) for each level.
    """
    levels = [_of_level(m, level, search) for m, level in zip(moves, search.levels, strict=True)]
    number = len(scores[0])
    boxes = jnp.concatenate([each.reshape(number, -1, 4) for each in levels], 1)
    sure = jnp.concatenate([each.reshape(number, -1) for each in scores], 1)
    sizes = boxes[..., 2:] - boxes[..., :2] + search.pixel
    usable = (sure >= search.least_score) & jnp.all(sizes >= search.least_size, -1)
    if not search.pixel:  # among equal scores, MS-CNN takes the last first
        boxes, sure, usable = (jnp.flip(each, 1) for each in (boxes, sure, usable))
    most = sure.shape[1] if search.before is None else min(search.before, sure.shape[1])
    best, at = jax.lax.top_k(jnp.where(usable, sure, -jnp.inf), most)
    regions = jnp.take_along_axis(boxes, at[..., None], 1)
    share = region_boxes.overlap(search.mode, search.pixel)
    valid = jnp.take_along_axis(usable, at, 1)
    one = partial(suppress, threshold=search.nms_threshold, enough=search.after, share=share)
    return regions, best, jax.vmap(lambda b, u: one(b[None], u[None])[0])(regions, valid)


def _of_level(moves: Array, level: Level, search: Search) -> Array:
    """The regions (N, G, H, W, 4) of a level, clipped to the image."""
    mean, std = (jnp.asarray(v, moves.dtype)[:, None, None] for v in (search.mean, search.std))
    fields = jnp.asarray(level.fields, moves.dtype)
    placed = region_boxes.of_maps(moves * std + mean, fields, level.stride, search.farthest, search.widest)
    first = placed[..., :2] - placed[..., 2:] / 2
    picture = jnp.asarray([n * level.stride for n in (moves.shape[-1], moves.shape[-2])], moves.dtype)
    last = first + placed[..., 2:] - search.pixel
    if search.pixel:
        return jnp.concatenate([jnp.maximum(first, 0), jnp.minimum(last, picture)], -1)
    first = jnp.maximum(first, 0)  # moved, not clipped: the region keeps its size, up to the end of the image
    return jnp.concatenate([first, jnp.minimum(first + placed[..., 2:], picture)], -1)


class _Proposals(HostLayer):
    """The base of BoxOutput and BoxGroupOutput; see `BoxOutput`."""

    bottoms = (1, None)
    tops = (1, 2)
    search: Search

    def read_search(
        self, p: pb.BoxOutputParameter | pb.BoxGroupOutputParameter, levels: Sequence[Level], pixel: int
    ) -> None:
        """Checks and stores the settings of the search. Raises LayerError."""
        for number, level in enumerate(levels):
            if level.stride < 1 or not level.fields or min(map(min, level.fields)) < 1:
                raise self.error(
                    f"level {number + 1} has fields {list(level.fields)} (width, height) and stride {level.stride}; "
                    "it needs one field or more, and all these numbers must be 1 or more."
                )
        for name in ("field_whr", "field_xyr"):
            if getattr(p, name) <= 0:
                raise self.error(f"{name} is {getattr(p, name):g}; it must be above 0.")
        if p.nms_type not in region_boxes.MODES:
            raise self.error(f'nms_type is "{p.nms_type}"; it must be one of {", ".join(region_boxes.MODES)}.')
        mean, std = normalization(self)
        self.search = Search(
            levels=tuple(levels),
            mean=mean,
            std=std,
            farthest=p.field_xyr,
            widest=p.field_whr,
            least_score=p.fg_thr,
            least_size=p.min_size,
            mode=p.nms_type,
            nms_threshold=p.iou_thr,
            before=p.max_nms_num or None,
            after=p.max_post_nms_num or None,
            pixel=pixel,
        )

    def blank_tops(self) -> list[Shape]:
        """The tops' shapes for one region."""
        shapes: list[Shape] = [(1, 5, 1, 1), (1, 6, 1, 1)]
        return shapes[: len(self.config.top)]

    def split(self, bottoms: Arrays) -> tuple[list[Array], list[Array]]:
        """Returns the scores (N, G, H, W) and moves (N, G, 4, H, W) of each level."""
        raise TypeError(f"{type(self).__name__} has no split")

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        boxes, best, kept = map(np.asarray, propose(*self.split([stop_gradient(x) for x in bottoms]), self.search))
        chosen = kept if self.search.after is None else kept & (np.cumsum(kept, -1) <= self.search.after)
        numbers = np.nonzero(chosen)[0].astype(boxes.dtype)[:, None]
        regions = np.concatenate([numbers, boxes[chosen], best[chosen][:, None]], 1)
        tops = [regions[:, :5], regions]
        if not len(regions):  # a following ROI pooling needs at least one region, of any image
            tops = [np.array([[0, 1, 1, 10, 10]], boxes.dtype), np.zeros((1, 6), boxes.dtype)]
        return [jnp.asarray(top[:, :, None, None]) for top in tops[: len(self.config.top)]]


@layer("BoxOutput")
class BoxOutput(_Proposals):
    """The regions of each image that the bottoms propose, after non-maximum suppression, by descending score (MS-CNN).

    Each position of bottom i, `downsample_rate[i]` pixels apart, has a default box (field) of field_w[i] × field_h[i]
    pixels, which the last 4 channels move: `region_boxes.of_maps` of values · bbox_std + bbox_mean. Its score is the
    largest of the object classes minus that of the background, which is first. Regions with a score below fg_thr or a
    side below min_size pixels are discarded.
    Bottoms: (N, C + 4, H, W) each, with C classes. Tops: regions (R, 5, 1, 1): image, x1, y1, x2, y2; and optionally
    the same with their scores (R, 6, 1, 1). If there is no region, (0, 1, 1, 10, 10), and zeros.
    """

    def setup(self, *bottoms: Shape) -> list[Shape]:
        p = self.config.box_output_param
        for name in ("field_h", "field_w", "downsample_rate"):
            if len(getattr(p, name)) != len(bottoms):
                raise self.error(f"{len(getattr(p, name))} {name} for {len(bottoms)} bottoms; give one each.")
        fields = zip(p.field_w, p.field_h, p.downsample_rate, strict=True)
        self.read_search(p, [Level(((w, h),), stride) for w, h, stride in fields], pixel=0)
        for i, shape in enumerate(bottoms):
            if len(shape) != 4 or shape[:2] != bottoms[0][:2] or shape[1] < 6:
                raise self.error(
                    f"{self.bottom(i)} has shape {list(shape)}; each must be (N, classes + 4, H, W), with the same N "
                    "and number of classes, 2 or more."
                )
        return self.blank_tops()

    def split(self, bottoms: Arrays) -> tuple[list[Array], list[Array]]:
        scores = [jnp.max(x[:, 1:-4], 1, keepdims=True) - x[:, :1] for x in bottoms]
        return scores, [x[:, None, -4:] for x in bottoms]


@layer("BoxGroupOutput")
class BoxGroupOutput(_Proposals):
    """`BoxOutput` for several fields per position, stored one after the other along the batch axis (Cascade R-CNN).

    Bottoms, in pairs: probabilities (N · G, C, H, W), the background's first, and moves (N · G, 4, H, W), for the G
    fields of the box_group_param with the same index. A region's score is 1 minus that of the background; its last row
    and column belong to it. Tops: as for BoxOutput.
    """

    bottoms = (2, None)

    def setup(self, *bottoms: Shape) -> list[Shape]:
        p = self.config.box_group_output_param
        if len(bottoms) != 2 * len(p.box_group_param):
            raise self.error(
                f"{len(p.box_group_param)} box_group_param for {len(bottoms)} bottoms; give one for each pair."
            )
        levels = []
        for i, group in enumerate(p.box_group_param):
            if len(group.field_w) != len(group.field_h):
                raise self.error(
                    f"box_group_param {i + 1} has {len(group.field_w)} field_w and {len(group.field_h)} field_h; "
                    "give equally many of both."
                )
            levels.append(Level(tuple(zip(group.field_w, group.field_h, strict=True)), group.stride))
        self.read_search(p, levels, pixel=1)
        for i, level in enumerate(levels):
            self._check(2 * i, bottoms, len(level.fields))
        return self.blank_tops()

    def _check(self, i: int, bottoms: Sequence[Shape], fields: int) -> None:
        """Raises LayerError unless bottoms i and i + 1 have the shapes of a level with this number of fields."""
        number = bottoms[0][0] // len(self.search.levels[0].fields) if bottoms[0] else 0
        scores, moves = bottoms[i], bottoms[i + 1]
        if len(scores) != 4 or scores[0] != number * fields or moves != (scores[0], 4, *scores[2:]):
            raise self.error(
                f"{self.bottom(i)} has shape {list(scores)} and {self.bottom(i + 1)} {list(moves)}; {fields} fields "
                f"need ({fields} · N, classes, H, W) and ({fields} · N, 4, H, W), with one N for all, here {number}."
            )

    def split(self, bottoms: Arrays) -> tuple[list[Array], list[Array]]:
        scores, moves = [], []
        for level, probabilities, each in zip(self.search.levels, bottoms[::2], bottoms[1::2], strict=True):
            fields = len(level.fields)
            scores.append(1 - probabilities[:, 0].reshape(-1, fields, *probabilities.shape[2:]))
            moves.append(each.reshape(-1, fields, *each.shape[1:]))
        return scores, moves
