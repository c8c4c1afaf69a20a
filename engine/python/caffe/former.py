"""Names that Caffe's Python interface had before 2015, which programs of that time ask for; what to write now."""

from engine.errors import NetError

TRANSFORMER = "t = caffe.io.Transformer({'data': net.blobs['data'].shape}); t."
"""Nets brought pictures to their input themselves; caffe.Classifier and caffe.Detector still do."""

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
    """A name that Caffe had; an AttributeError, as for any name that is not there."""


def missing(owner: str, name: str) -> AttributeError:
    """The error for a name that `owner` has not."""
    if name in INSTEAD:
        return FormerNameError(f"{owner} has no {name} since 2015; write {INSTEAD[name]}.")
    return AttributeError(f"{owner} has no attribute {name!r}")
