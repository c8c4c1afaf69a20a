"""Turns V1 layers (2014), `layers { type: CONVOLUTION … }`, into today's, `layer { type: "Convolution" … }`."""

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb

TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
    # Types of forks
    "BN": "BN",
    "CONVOLUTION3D": "Convolution3D",
    "CROP": "Crop",
    "DECONVOLUTION3D": "Deconvolution3D",
    "DENSE_CRF": "DenseCRF",
    "DENSE_IMAGE_DATA": "DenseImageData",
    "IMAGE_SEG_DATA": "ImageSegData",
    "INTERP": "Interp",
    "MAT_READ": "MatRead",
    "MAT_WRITE": "MatWrite",
    "MULTI_STAGE_MEANFIELD": "MultiStageMeanfield",
    "POOLING3D": "Pooling3D",
    "SEG_ACCURACY": "SegAccuracy",
    "UNPOOLING": "Unpooling",
    "UPSAMPLE": "Upsample",
}

_PARAM_FIELDS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
"""V1 field → today's field in `param`. A V1 layer lists each property for all parameters; today each parameter has a
`param` block."""


def upgrade(net: pb.NetParameter) -> list[str]:
    """Rewrites the V1 layers of `net` as today's, in place. Returns notices for the user.

    Raises PrototxtError if the net has layers of both kinds.
    """
    if not net.layers:
        return []
    if net.layer:
        raise PrototxtError(
            f'has both "layers" (old form; the first is "{net.layers[0].name}") and "layer" (new form; the first is '
            f'"{net.layer[0].name}"), so their order is unknown. Write all of them in one form.'
        )
    for layer in net.layers:
        _upgrade_layer(layer, net.layer.add())
    net.ClearField("layers")
    return ['is in the form of 2014 (V1, "layers" with types in capitals); read as today\'s']


def _upgrade_layer(old: pb.V1LayerParameter, new: pb.LayerParameter) -> None:
    for field, value in old.ListFields():
        if field.name == "type":
            new.type = TYPES[pb.V1LayerParameter.LayerType.Name(value)]
        elif field.name in _PARAM_FIELDS:
            for i, each in enumerate(value):
                while len(new.param) <= i:
                    new.param.add()
                setattr(new.param[i], _PARAM_FIELDS[field.name], each)
        elif field.is_repeated:
            getattr(new, field.name).extend(value)
        elif field.message_type is not None:
            getattr(new, field.name).CopyFrom(value)
        else:
            setattr(new, field.name, value)
