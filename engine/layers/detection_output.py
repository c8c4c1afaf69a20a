"""DetectionOutput: from a detector's predictions to the boxes that it has found (Liu et al. 2016)."""

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
    """What counts as found. `top_k` boxes a class at most go into the suppression, `keep_top_k` a picture come out."""

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
    """Detections (N, R, 3 + V), by picture and class and best first: picture, class, score, xmin, ymin, xmax, ymax, and
    an outline where V is more than 4; and which of them there are (N, R).

    loc (N, P · L · V), conf (N, P · C), priors (1, 2, P · 4), with P priors, C classes and L classes of locations,
    1 where they are shared. refined: scores of being an object at all (N, P · 2), by which priors are left out, and
    offsets (N, P · 4), which move the priors first. R is fixed, so that the whole batch is one compiled computation.
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
    found = decode(search.code, offsets[..., :4], boxes, units)
    if search.values > 4:
        found = jnp.concatenate([found, decode_outline(offsets[..., 4:], boxes, variances)], -1)
    scores = jnp.moveaxis(classes, 2, 1)
    numbers = jnp.asarray([c for c in range(search.classes) if c != search.background], int)
    of_class = jnp.moveaxis(found, 2, 1)  # (N, L, P, V)
    of_class = of_class if search.shared else of_class[:, numbers]
    return jax.vmap(partial(_of_picture, search, numbers))(jnp.arange(len(offsets)), of_class, scores[:, numbers])


def _of_picture(search: Search, numbers: Array, picture: Array, boxes: Array, scores: Array) -> tuple[Array, Array]:
    """One picture's rows: boxes (1 or C, P, V) and scores (C, P) of the classes `numbers` (C)."""
    classes, priors = scores.shape
    limit = priors if search.top_k is None else min(search.top_k, priors)
    ordered = jnp.where(scores == 0, 0, scores)  # top_k counts −0 as less than 0
    best, places = jax.lax.top_k(jnp.where(scores > search.least_score, ordered, -jnp.inf), limit)
    candidates = jnp.take_along_axis(jnp.broadcast_to(boxes, (classes, priors, search.values)), places[:, :, None], 1)
    kept = suppress(candidates[..., :4], best > search.least_score, search.nms_threshold, search.eta).ravel()
    if search.keep_top_k is not None and search.keep_top_k < kept.size:
        _, chosen = jax.lax.top_k(jnp.where(kept, best.ravel(), -jnp.inf), search.keep_top_k)
        chosen = jnp.sort(jnp.where(kept[chosen], chosen, kept.size))  # by class again; what is none comes last
    else:
        chosen = jnp.arange(kept.size)
    there = kept.at[chosen].get(mode="fill", fill_value=False)
    parts = jnp.stack([jnp.broadcast_to(numbers[:, None], best.shape).astype(best.dtype), best], -1)
    rows = (
        jnp.concatenate([parts, candidates], -1)
        .reshape(-1, 2 + search.values)
        .at[chosen]
        .get(mode="fill", fill_value=-1)
    )
    return jnp.concatenate([jnp.full((len(rows), 1), picture, rows.dtype), rows], 1), there


@layer("DetectionOutput")
class DetectionOutput(HostLayer):
    """The boxes that are left of a detector's after suppression, and their classes and scores (SSD).

    Bottoms: offsets (N, P · L · 4), scores (N, P · C), priors (1, 2, P · 4), with P priors, C classes and L = 1, or C
    with `share_location: false`. RefineDet's (Zhang et al. 2018) may have two more: scores (N, P · 2) of its anchor
    refinement, which leave out priors of less than `objectness_score`, and offsets (N, P · 4), which the priors are
    moved by. With `use_polygon` given, offsets are 12 for each box, or 9 where it is false, with those of an outline;
    boxes alone are suppressed (TextBoxes++). Top: (1, 1, M, 7), or 15 or 12: picture, class, score, xmin, ymin, xmax,
    ymax, outline, by picture and class and best first. Where nothing is found in the whole batch, a row a picture whose
    other values are −1.
    With `save_output_param` what is found is written into files too; see DetectionFiles.
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
        rows, there = map(np.asarray, detect(loc, conf, priors, self.search, *refined))
        found = rows[there]
        if self.files is not None:
            try:
                self.files.add(len(rows), found)
            except DataError as e:
                raise self.error(str(e)) from e
        if not len(found):
            found = np.full((len(rows), rows.shape[-1]), -1, rows.dtype)
            found[:, 0] = np.arange(len(rows))
        return [jnp.asarray(found[None, None])]

    def _check(self, priors: np.ndarray) -> None:
        sides = priors[:, 2:] - priors[:, :2]
        if self.search.code != CodeType.CORNER and (bad := np.flatnonzero(np.any(sides <= 0, 1))).size:
            raise self.error(
                f"{self.bottom(2)}: prior {bad[0]} is {sides[bad[0]][0]:g} wide and {sides[bad[0]][1]:g} high; boxes "
                "are told in units of these, which must be more than 0."
            )

    def _files(self) -> DetectionFiles | None:
        """Where detections are saved to; None where that is not asked for, or files that it names are not there."""
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
            log.warning("%s: save_output_param is not obeyed, detections go into its top only: %s", self.node.shown, e)
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
