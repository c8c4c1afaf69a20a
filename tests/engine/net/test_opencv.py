"""OpenCV reads the models that are saved here, and finds what the engine finds."""

from pathlib import Path

import cv2
import jax
import numpy as np

from engine.net import weights
from engine.net.net import Net
from engine.proto import binary, text
from engine.proto import caffe_pb2 as pb

HEAD = """
layer {{ name: "{0}_loc" type: "Convolution" bottom: "{0}" top: "{0}_loc"
  convolution_param {{ num_output: 16 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "{0}_loc_perm" type: "Permute" bottom: "{0}_loc" top: "{0}_loc_perm"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "{0}_loc_flat" type: "Flatten" bottom: "{0}_loc_perm" top: "{0}_loc_flat" }}
layer {{ name: "{0}_conf" type: "Convolution" bottom: "{0}" top: "{0}_conf"
  convolution_param {{ num_output: 12 kernel_size: 3 pad: 1 weight_filler {{ type: "gaussian" std: 0.3 }} }} }}
layer {{ name: "{0}_conf_perm" type: "Permute" bottom: "{0}_conf" top: "{0}_conf_perm"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "{0}_conf_flat" type: "Flatten" bottom: "{0}_conf_perm" top: "{0}_conf_flat" }}
layer {{ name: "{0}_prior" type: "PriorBox" bottom: "{0}" bottom: "data" top: "{0}_prior"
  prior_box_param {{ min_size: {1} max_size: {2} aspect_ratio: 2 flip: true clip: false
    variance: [0.1, 0.1, 0.2, 0.2] step: {3} offset: 0.5 }} }}
"""
OUTPUT = """
layer { name: "loc" type: "Concat" bottom: "a_loc_flat" bottom: "b_loc_flat" top: "loc" concat_param { axis: 1 } }
layer { name: "conf" type: "Concat" bottom: "a_conf_flat" bottom: "b_conf_flat" top: "conf" concat_param { axis: 1 } }
layer { name: "prior" type: "Concat" bottom: "a_prior" bottom: "b_prior" top: "prior" concat_param { axis: 2 } }
layer { name: "shaped" type: "Reshape" bottom: "conf" top: "shaped"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "soft" type: "Softmax" bottom: "shaped" top: "soft" softmax_param { axis: 2 } }
layer { name: "flat" type: "Flatten" bottom: "soft" top: "flat" flatten_param { axis: 1 } }
layer { name: "found" type: "DetectionOutput" bottom: "loc" bottom: "flat" bottom: "prior" top: "found"
  detection_output_param { num_classes: 3 share_location: true background_label_id: 0 code_type: CENTER_SIZE
    nms_param { nms_threshold: 0.45 top_k: 100 } keep_top_k: 50 confidence_threshold: 0.3 } }
"""
DATA = 'input: "data" input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }'
BODY = """
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 8 kernel_size: 3 stride: 4 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "a" type: "Normalize" bottom: "c" top: "a"
  norm_param { across_spatial: false scale_filler { type: "constant" value: 5 } channel_shared: false } }
layer { name: "b" type: "DepthwiseConvolution" bottom: "c" top: "b" convolution_param { num_output: 8 group: 8
  bias_term: false kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "b" top: "b" }
layer { name: "scale" type: "Scale" bottom: "b" top: "b" scale_param { bias_term: true } }
"""
"""SSD's and MobileNet's ways to what the heads read."""


def test_opencv_reads_what_is_saved_and_finds_the_same(tmp_path: Path) -> None:
    written = DATA + BODY + HEAD.format("a", 8, 12, 4) + HEAD.format("b", 16, 24, 8) + OUTPUT
    (tmp_path / "net.prototxt").write_text(written)
    net = Net.from_param(text.read_net(tmp_path / "net.prototxt"), pb.TEST)
    params = net.init(seed=3)
    for averages, value in zip(net.param_ids[net.layer_names.index("bn")], (0.1, 2, 1), strict=True):
        params[averages] = np.full_like(params[averages], value)
    model = tmp_path / "model.caffemodel"
    binary.write(model, weights.to_model(net, params))
    # OpenCV knows the depthwise convolution as a grouped one.
    (tmp_path / "deploy.prototxt").write_text(written.replace("DepthwiseConvolution", "Convolution"))
    theirs = cv2.dnn.readNetFromCaffe(str(tmp_path / "deploy.prototxt"), str(model))
    picture = np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)
    theirs.setInput(picture)
    (want,) = theirs.forward("found")[0]
    (got,) = np.asarray(net.forward(params, {"data": picture}, jax.random.key(0)).outputs["found"])[0]
    want = want[want[:, 2] > 0]
    assert len(got) > 5
    order = [np.lexsort((rows[:, 2], rows[:, 1])) for rows in (got, want)]
    np.testing.assert_allclose(got[order[0]], want[order[1]], atol=1e-4)
