"""Checks of SSD's heads, MultiBoxLoss and DetectionOutput, without JAX: their settings, and whether the numbers of
offsets and scores match those of priors and classes. Each function raises LayerError if these do not fit."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from engine.graph import predictions
from engine.graph.graph import Node
from engine.proto import caffe_pb2 as pb

Shape = tuple[int, ...]


class Answers(NamedTuple):
    """A bottom of a head: its index, its shape, how many values it needs for each prior, and what these are."""

    bottom: int
    shape: Shape
    each: int
    what: str


def priors(node: Node, shape: Shape, classes: int, answers: Sequence[Answers]) -> int:
    """The number of priors, from the shape of the third bottom. All `answers` must have values for each of them."""
    if len(shape) != 3 or shape[2] % 4 or prod(shape) != 2 * shape[2]:
        raise node.error(f"{node.bottom(2)} has shape {list(shape)}; priors are (1, 2, 4 times their number).")
    number, items = shape[2] // 4, answers[0].shape[:1] or (1,)
    for i, answer_shape, each, what in answers:
        if answer_shape[:1] != items or prod(answer_shape[1:]) != number * each:
            raise node.error(
                f"{node.bottom(i)} has shape {list(answer_shape)}; {number} priors of {classes} classes need "
                f"[{items[0]}, {number * each}] {what}."
            )
    return number


def learned(node: Node, loc: Shape, conf: Shape, prior: Shape, truth: Shape) -> int:
    """The number of priors of a MultiBoxLoss or MultiBoxFocalLoss."""
    p = loss_settings(node)
    predictions.focus(node)
    predictions.same_items(node, (loc, conf))
    locations = 1 if p.share_location else p.num_classes
    answers = Answers(0, loc, 4 * locations, "offsets"), Answers(1, conf, p.num_classes, "scores")
    number = priors(node, prior, p.num_classes, answers)
    if len(truth) != 4 or truth[3] != 8 or not prod(truth):
        raise node.error(f"{node.bottom(3)} has shape {list(truth)}; boxes are (1, 1, their number, 8).")
    if any(list(node.config.propagate_down)[2:]):
        raise node.error("propagate_down is true for its priors or its boxes, which have no gradient.")
    return number


def loss_settings(node: Node) -> pb.MultiBoxLossParameter:
    """The settings of a MultiBoxLoss, checked for contradictions."""
    p = node.config.multibox_loss_param
    if not p.num_classes:
        raise node.error("multibox_loss_param needs num_classes of 1 or more.")
    if p.background_label_id >= p.num_classes and (p.conf_loss_type == p.SOFTMAX or p.mining_type != p.NONE):
        raise node.error(
            f"background_label_id {p.background_label_id} is not one of its {p.num_classes} classes, from 0 on."
        )
    if p.HasField("do_neg_mining") and p.do_neg_mining != (p.mining_type != p.NONE):
        mining = p.MiningType.Name(p.mining_type)
        raise node.error(
            f"do_neg_mining: {str(p.do_neg_mining).lower()} contradicts mining_type: {mining}; delete the first."
        )
    if p.mining_type != p.NONE and not p.share_location:
        raise node.error("negatives are mined only where locations are shared; give mining_type: NONE.")
    if p.map_object_to_agnostic and p.num_classes != 2:
        raise node.error(f"map_object_to_agnostic needs num_classes: 2, and {p.num_classes} was found.")
    if p.map_object_to_agnostic and p.background_label_id:
        raise node.error(
            f"map_object_to_agnostic makes all classes {p.background_label_id + 1}, one above background_label_id, "
            "and there are 2: give background_label_id: 0."
        )
    if p.mining_type == p.HARD_EXAMPLE and p.sample_size < 1:
        raise node.error(f"sample_size is {p.sample_size}; it must be 1 or more.")
    if p.ignore_difficult_gt:
        raise node.error(
            "ignore_difficult_gt, of NVIDIA's fork, is not supported; use_difficult_gt: false leaves such boxes out."
        )
    return p


def found(node: Node, loc: Shape, conf: Shape, prior: Shape, *refined: Shape) -> int:
    """The number of priors of a DetectionOutput; `refined`: RefineDet's additional bottoms."""
    p = output_settings(node)
    answers = [
        Answers(0, loc, values(node) * (1 if p.share_location else p.num_classes), "offsets"),
        Answers(1, conf, p.num_classes, "scores"),
        *(Answers(3 + i, shape, (2, 4)[i], ("objectness", "moves")[i]) for i, shape in enumerate(refined)),
    ]
    return priors(node, prior, p.num_classes, answers)


def values(node: Node) -> int:
    """How many numbers describe a box of a DetectionOutput: 4, and in TextBoxes++ another 8 for a polygon's corners or
    5 for a rotated box."""
    p = node.config.detection_output_param
    return (12 if p.use_polygon else 9) if p.HasField("use_polygon") else 4


def output_settings(node: Node) -> pb.DetectionOutputParameter:
    """The settings of a DetectionOutput, checked for what cannot be computed."""
    p = node.config.detection_output_param
    nms = p.nms_param
    if not p.num_classes:
        raise node.error("detection_output_param needs num_classes of 1 or more.")
    if p.share_location and p.background_label_id == -1:
        raise node.error(
            "background_label_id is −1 and the locations are shared, which its fork cannot compute. Give the "
            "number of a class that does not exist, such as num_classes."
        )
    if p.HasField("use_polygon") and (p.code_type != pb.PriorBoxParameter.CENTER_SIZE or p.variance_encoded_in_target):
        raise node.error(
            "use_polygon, of TextBoxes++, needs code_type: CENTER_SIZE and variance_encoded_in_target: false; its fork "
            "leaves the outlines of others undefined."
        )
    if nms.nms_threshold < 0:
        raise node.error(f"nms_threshold is {nms.nms_threshold:g}; it must be 0 or more.")
    if nms.soft_nms:
        raise node.error("soft_nms: true, of the fork jolibrain/caffe, is not supported. Delete it.")
    if not 0 < nms.eta <= 1:
        raise node.error(f"eta is {nms.eta:g}; it must be above 0 and 1 at most.")
    return p
