"""DetectionOutput: turns a detector's predictions into detections (Liu et al. 2016)."""

import logging
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from engine.data.detection_files import DetectionFiles
from engine.errors import DataError, PrototxtError
from engine.graph import detections
from engine.layers.base import Array, Arrays, Context, HostLayer, Shape
from engine.layers.registry import layer
from engine.ops.boxes import CodeType, decode, decode_outline, suppress
from engine.proto import paths

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """The settings of the search. At most `top_k` boxes per class enter the non-maximum suppression (NMS), and at most
    `keep_top_k` per image come out of it."""

    classes: int
    shared: bool
    background: int
    code: CodeType
    variance_in_target: bool
    least_score: float
    nms_threshold: float
    eta: float
    top_k: int | None
    keep_top_k: int | None
    least_objectness: float
    values: int


@partial(jax.jit, static_argnums=3)
def detect(loc: Array, conf: Array, priors: Array, search: Search, *refined: Array) -> tuple[Array, Array]:
    """Returns detections (N, R, 3 + V), by image, class and descending score: image, class, score, xmin, ymin, xmax,
    ymax, and an outline if V is more than 4; and which of the rows are detections (N, R).

    loc (N, P · L · V), conf (N, P · C), priors (1, 2, P · 4), with P priors, C classes and L location classes, 1 if
    they are shared. refined: objectness scores (N, P · 2), by which priors are discarded, and offsets (N, P · 4), by
    which the priors are moved first. R is fixed, so that the whole batch is one compiled computation.
    """
    boxes, variances = priors.reshape(2, -1, 1, 4)
    units = 1.0 if search.variance_in_target else variances
    offsets = loc.reshape(loc.shape[0], boxes.shape[0], -1, search.values)
    classes = conf.reshape(*offsets.shape[:2], search.classes)
    if refined:
        objectness, *moves = refined
        none = jnp.zeros(search.classes).at[0].set(1)
        there_is = objectness.reshape(*offsets.shape[:2], 2)[..., 1:] >= search.least_objectness
        classes = jnp.where(there_is, classes, none)
        if moves:
            boxes = decode(search.code, moves[0].reshape(*offsets.shape[:2], 1, 4), boxes, units)
    decoded = decode(search.code, offsets[..., :4], boxes, units)
    if search.values > 4:
        decoded = jnp.concatenate([decoded, decode_outline(offsets[..., 4:], boxes, variances)], -1)
    scores = jnp.moveaxis(classes, 2, 1)
    numbers = jnp.asarray([c for c in range(search.classes) if c != search.background], int)
    of_class = jnp.moveaxis(decoded, 2, 1)  # (N, L, P, V)
    of_class = of_class if search.shared else of_class[:, numbers]
    return jax.vmap(partial(_of_picture, search, numbers))(jnp.arange(len(offsets)), of_class, scores[:, numbers])


def _of_picture(search: Search, numbers: Array, picture: Array, boxes: Array, scores: Array) -> tuple[Array, Array]:
    """The rows of one image, from boxes (1 or C, P, V) and scores (C, P) of the classes `numbers` (C)."""
    classes, priors = scores.shape
    limit = priors if search.top_k is None else min(search.top_k, priors)
    ordered = jnp.where(scores == 0, 0, scores)  # because top_k orders −0 below 0
    best, places = jax.lax.top_k(jnp.where(scores > search.least_score, ordered, -jnp.inf), limit)
    candidates = jnp.take_along_axis(jnp.broadcast_to(boxes, (classes, priors, search.values)), places[:, :, None], 1)
    kept = suppress(candidates[..., :4], best > search.least_score, search.nms_threshold, search.eta).ravel()
    if search.keep_top_k is not None and search.keep_top_k < kept.size:
        _, chosen = jax.lax.top_k(jnp.where(kept, best.ravel(), -jnp.inf), search.keep_top_k)
        chosen = jnp.sort(jnp.where(kept[chosen], chosen, kept.size))  # by class again, with padding last
    else:
        chosen = jnp.arange(kept.size)
    valid = kept.at[chosen].get(mode="fill", fill_value=False)
    parts = jnp.stack([jnp.broadcast_to(numbers[:, None], best.shape).astype(best.dtype), best], -1)
    rows = (
        jnp.concatenate([parts, candidates], -1)
        .reshape(-1, 2 + search.values)
        .at[chosen]
        .get(mode="fill", fill_value=-1)
    )
    return jnp.concatenate([jnp.full((len(rows), 1), picture, rows.dtype), rows], 1), valid


@layer("DetectionOutput")
class DetectionOutput(HostLayer):
    """A detector's boxes that remain after non-maximum suppression, with their classes and scores (SSD).

    Bottoms: offsets (N, P · L · 4), scores (N, P · C), priors (1, 2, P · 4), with P priors, C classes and L = 1, or C
    with `share_location: false`. For RefineDet (Zhang et al. 2018) there may be two more, from its anchor refinement:
    scores (N, P · 2), by which priors below `objectness_score` are discarded, and offsets (N, P · 4), by which the
    priors are moved. If `use_polygon` is given (TextBoxes++), each box has 12 offsets, or 9 if it is false, which
    include those of an outline; suppression compares only the boxes.
    Top: (1, 1, M, 7), or 15 or 12 for the last axis: image, class, score, xmin, ymin, xmax, ymax, outline, ordered by
    image, class and descending score. If nothing is found in the whole batch, one row per image whose other values are
    −1. With `save_output_param`, detections are also written to files; see DetectionFiles.
    """

    def setup(self, loc: Shape, conf: Shape, priors: Shape, *refined: Shape) -> list[Shape]:
        self.search = self._search()
        detections.found(self.node, loc, conf, priors, *refined)
        if not hasattr(self, "files"):
            self.files = self._files()
        return [(1, 1, 1, 3 + self.search.values)]

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        loc, conf, priors, *refined = map(stop_gradient, bottoms)
        self._check(np.asarray(priors)[0, 0].reshape(-1, 4))
        rows, valid = map(np.asarray, detect(loc, conf, priors, self.search, *refined))
        valid_rows = rows[valid]
        if self.files is not None:
            try:
                self.files.add(len(rows), valid_rows)
            except DataError as e:
                raise self.error(str(e)) from e
        if not len(valid_rows):
            valid_rows = np.full((len(rows), rows.shape[-1]), -1, rows.dtype)
            valid_rows[:, 0] = np.arange(len(rows))
        return [jnp.asarray(valid_rows[None, None])]

    def _check(self, priors: np.ndarray) -> None:
        sides = priors[:, 2:] - priors[:, :2]
        if self.search.code != CodeType.CORNER and (bad := np.flatnonzero(np.any(sides <= 0, 1))).size:
            raise self.error(
                f"{self.bottom(2)}: prior {bad[0]} is {sides[bad[0]][0]:g} wide and {sides[bad[0]][1]:g} high; both "
                "must be more than 0, as boxes are decoded in these units."
            )

    def _files(self) -> DetectionFiles | None:
        """Returns the files to save detections to; None if none are asked for, or if a file named there is missing."""
        p = self.config.detection_output_param.save_output_param
        if not p.output_directory:
            return None
        classes = [c for c in range(self.search.classes) if c != self.search.background]
        try:
            for name in ("label_map_file", "name_size_file"):
                if not getattr(p, name):
                    raise DataError(f"it has no {name}.")
            labels, sizes = (paths.resolve(f, self.node.origin.path) for f in (p.label_map_file, p.name_size_file))
            return DetectionFiles(p, classes, labels, sizes)
        except (DataError, PrototxtError) as e:
            log.warning("%s: save_output_param is ignored, detections go into its top only: %s", self.node.shown, e)
            return None

    def _search(self) -> Search:
        p = detections.output_settings(self.node)
        nms = p.nms_param
        return Search(
            classes=p.num_classes,
            shared=p.share_location,
            background=p.background_label_id,
            code=p.code_type,
            variance_in_target=p.variance_encoded_in_target,
            least_score=p.confidence_threshold if p.HasField("confidence_threshold") else float(np.finfo("f4").min),
            nms_threshold=nms.nms_threshold,
            eta=nms.eta,
            top_k=nms.top_k if nms.HasField("top_k") and nms.top_k > -1 else None,
            keep_top_k=p.keep_top_k if p.keep_top_k > -1 else None,
            least_objectness=p.objectness_score,
            values=detections.values(self.node),
        )
