"""Names that Caffe's Python interface had before 2015, which programs of that time use, and what to write instead."""

from engine.errors import NetError

TRANSFORMER = "t = caffe.io.Transformer({'data': net.blobs['data'].shape}); t."
"""Nets used to preprocess pictures themselves, as caffe.Classifier and caffe.Detector still do."""

INSTEAD = {
    "set_phase_test": "caffe.Net(FILE, WEIGHTS, caffe.TEST)",
    "set_phase_train": "caffe.Net(FILE, WEIGHTS, caffe.TRAIN)",
    "set_mode_cpu": "caffe.set_mode_cpu()",
    "set_mode_gpu": "caffe.set_mode_gpu()",
    "set_device": "caffe.set_device(NUMBER)",
    "CaffeNet": "caffe.Net(FILE, WEIGHTS, caffe.TEST)",
    **{
        name: f"{TRANSFORMER}{name}"
        for name in ("set_mean", "set_input_scale", "set_raw_scale", "set_channel_swap", "preprocess", "deprocess")
    },
}


class FormerNameError(NetError, AttributeError):
    """A name that Caffe once had. Also an AttributeError, like any missing name."""


def missing(owner: str, name: str) -> AttributeError:
    """The error for a name that `owner` does not have."""
    if name in INSTEAD:
        return FormerNameError(f"{owner} has had no {name} since 2015; write {INSTEAD[name]}.")
    return AttributeError(f"{owner} has no attribute {name!r}")
