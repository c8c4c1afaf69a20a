"""A tiny SSD learns to find squares on made pictures."""

from pathlib import Path

import numpy as np
import pytest
from support.tiny_solver import parameter

from engine.data.datum import raw
from engine.data.lmdb_writer import LMDBWriter
from engine.proto import caffe_pb2 as pb
from engine.solver.solver import Solver

SIDE, PICTURES = 32, 128

HEAD = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "boxes" include { phase: TRAIN }
  transform_param { mirror: true scale: 0.0078125 mean_value: 128 resize_param { height: 32 width: 32 }
                    emit_constraint { emit_type: CENTER } }
  data_param { source: "train" batch_size: 16 backend: LMDB } annotated_data_param {
    batch_sampler { max_sample: 1 max_trials: 1 }
    batch_sampler { sampler { min_scale: 0.7 max_scale: 1 } sample_constraint { min_object_coverage: 1 }
                    max_sample: 1 max_trials: 10 } } }
layer { name: "data" type: "AnnotatedData" top: "data" top: "boxes" include { phase: TEST }
  transform_param { scale: 0.0078125 mean_value: 128 resize_param { height: 32 width: 32 } }
  data_param { source: "test" batch_size: 16 backend: LMDB } annotated_data_param { } }
"""
BODY = """
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 16 kernel_size: 5 stride: 2 pad: 2 weight_filler { type: "msra" } } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2"
  convolution_param { num_output: 32 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "msra" } } }
layer { name: "r2" type: "ReLU" bottom: "c2" top: "c2" }
layer { name: "n2" type: "Normalize" bottom: "c2" top: "n2"
  norm_param { across_spatial: false channel_shared: false scale_filler { type: "constant" value: 8 } } }
layer { name: "loc" type: "Convolution" bottom: "n2" top: "loc"
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 weight_filler { type: "xavier" } } }
layer { name: "loc_p" type: "Permute" bottom: "loc" top: "loc_p" permute_param { order: [0, 2, 3, 1] } }
layer { name: "loc_f" type: "Flatten" bottom: "loc_p" top: "loc_f" }
layer { name: "conf" type: "Convolution" bottom: "n2" top: "conf"
  convolution_param { num_output: 6 kernel_size: 5 pad: 2 weight_filler { type: "xavier" } } }
layer { name: "conf_p" type: "Permute" bottom: "conf" top: "conf_p" permute_param { order: [0, 2, 3, 1] } }
layer { name: "conf_f" type: "Flatten" bottom: "conf_p" top: "conf_f" }
layer { name: "priors" type: "PriorBox" bottom: "n2" bottom: "data" top: "priors"
  prior_box_param { min_size: 8 max_size: 16 variance: [0.1, 0.1, 0.2, 0.2] } }
layer { name: "loss" type: "MultiBoxLoss" bottom: "loc_f" bottom: "conf_f" bottom: "priors" bottom: "boxes" top: "loss"
  include { phase: TRAIN } propagate_down: [true, true, false, false]
  multibox_loss_param { num_classes: 3 code_type: CENTER_SIZE } }
layer { name: "rows" type: "Reshape" bottom: "conf_f" top: "rows" include { phase: TEST }
  reshape_param { shape { dim: [0, -1, 3] } } }
layer { name: "prob" type: "Softmax" bottom: "rows" top: "prob" softmax_param { axis: 2 } include { phase: TEST } }
layer { name: "prob_f" type: "Flatten" bottom: "prob" top: "prob_f" include { phase: TEST } }
layer { name: "found" type: "DetectionOutput" bottom: "loc_f" bottom: "prob_f" bottom: "priors" top: "found"
  include { phase: TEST } detection_output_param { num_classes: 3 code_type: CENTER_SIZE keep_top_k: 20
    confidence_threshold: 0.05 nms_param { nms_threshold: 0.45 top_k: 40 } } }
layer { name: "eval" type: "DetectionEvaluate" bottom: "found" bottom: "boxes" top: "eval" include { phase: TEST }
  detection_evaluate_param { num_classes: 3 } }
"""


def make(path: Path, seed: int) -> None:
    """Pictures of noise with one or two squares: bright ones are class 1, dark ones class 2."""
    rng = np.random.default_rng(seed)
    with LMDBWriter(path) as database:
        for n in range(PICTURES):
            picture = rng.normal(128, 20, (3, SIDE, SIDE))
            record = pb.AnnotatedDatum(type="BBOX")
            for half in rng.permutation(2)[: rng.integers(1, 3)]:
                size, label = int(rng.integers(8, 14)), int(rng.integers(1, 3))
                top, left = int(rng.integers(SIDE - size)), int(half * SIDE // 2 + rng.integers(max(1, 16 - size)))
                picture[:, top : top + size, left : left + size] = 230 if label == 1 else 25
                corners = {"xmin": left, "ymin": top, "xmax": left + size, "ymax": top + size}
                box = pb.NormalizedBBox(**{name: min(SIDE, at) / SIDE for name, at in corners.items()})
                record.annotation_group.add(group_label=label).annotation.add(bbox=box)
            record.datum.CopyFrom(raw(picture.clip(0, 255).astype(np.uint8), 0))
            database.put(b"%08d" % n, record.SerializeToString())


@pytest.mark.slow
def test_a_tiny_ssd_finds_squares(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "train", 0)
    make(tmp_path / "test", 1)
    settings = """type: "Adam" momentum: 0.9 base_lr: 0.002 lr_policy: "fixed" max_iter: 300 display: 50
    test_iter: 8 test_interval: 300 eval_type: "detection" ap_version: "11point" show_per_class_result: true"""
    solver = Solver(parameter(settings, HEAD + BODY))
    before = solver.test(0).outputs["eval"]
    solver.step(300)
    after = solver.test(0)
    assert before < 0.2
    assert after.outputs["eval"] > 0.9, after
    assert set(after.classes["eval"]) == {1, 2}


PLAIN = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "boxes"
  transform_param { scale: 0.0078125 mean_value: 128 }
  data_param { source: "train" batch_size: 8 backend: LMDB } annotated_data_param { } }
"""
LOSSES = [6.88252, 6.55863, 6.37636, 6.34435, 6.04715, 5.858, 6.08536, 5.51272, 5.46312, 5.25958]
"""Of ten iterations, as SSD's own program logged them with these weights and pictures."""


@pytest.mark.slow
def test_losses_and_precisions_are_those_of_ssd(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "train", 0)
    settings = """type: "SGD" momentum: 0.9 base_lr: 0.02 lr_policy: "fixed" max_iter: 10 weight_decay: 0.0005
    test_iter: 16 test_interval: 300 eval_type: "detection" ap_version: "11point" """
    solver = Solver(parameter(settings, PLAIN + BODY))
    rng = np.random.default_rng(2)
    solver.params = [np.float32(0.1 * rng.standard_normal(p.shape)) for p in solver.params]
    losses = []
    for _ in LOSSES:
        solver.step(1)
        losses.append(solver.smoothed_loss())
    np.testing.assert_allclose(losses, LOSSES, rtol=1e-5)
    assert solver.test(0).classes["eval"] == pytest.approx({1: 0.00378788, 2: 0.00582621}, rel=1e-4)
