"""The names of all layer types. Needs no JAX, so that a laptop can find a misspelt one too."""

from collections.abc import Collection, Iterator

from engine import suggest
from engine.errors import LayerError
from engine.proto import caffe_pb2 as pb
from engine.proto import forks, layer_modules
from engine.proto.stand_ins import STAND_INS

BVLC = frozenset(
    (
        "AbsVal",
        "Accuracy",
        "ArgMax",
        "BNLL",
        "BatchNorm",
        "BatchReindex",
        "Bias",
        "Clip",
        "Concat",
        "ContrastiveLoss",
        "Convolution",
        "Crop",
        "Data",
        "Deconvolution",
        "Dropout",
        "DummyData",
        "ELU",
        "Eltwise",
        "Embed",
        "EuclideanLoss",
        "Exp",
        "Filter",
        "Flatten",
        "HDF5Data",
        "HDF5Output",
        "HingeLoss",
        "Im2col",
        "ImageData",
        "InfogainLoss",
        "InnerProduct",
        "Input",
        "LRN",
        "LSTM",
        "LSTMUnit",
        "Log",
        "MVN",
        "MemoryData",
        "MultinomialLogisticLoss",
        "PReLU",
        "Parameter",
        "Pooling",
        "Power",
        "Python",
        "RNN",
        "ReLU",
        "Reduction",
        "Reshape",
        "SPP",
        "Scale",
        "Sigmoid",
        "SigmoidCrossEntropyLoss",
        "Silence",
        "Slice",
        "Softmax",
        "SoftmaxWithLoss",
        "Split",
        "Swish",
        "TanH",
        "Threshold",
        "Tile",
        "WindowData",
    )
)
"""The types of Caffe itself."""

FORKS: dict[str, tuple[str, ...]] = {
    "ssd": (
        "AnnotatedData",
        "DetectionEvaluate",
        "DetectionOutput",
        "MultiBoxFocalLoss",
        "MultiBoxLoss",
        "Normalize",
        "Permute",
        "PriorBox",
        "PriorBoxClustered",
        "SmoothL1Loss",
    ),
    "rcnn": (
        "BboxAccuracy",
        "BoxAnnotatorOHEM",
        "BoxGroupOutput",
        "BoxOutput",
        "DecodeBBox",
        "DeformableConvolution",
        "DetectionAccuracy",
        "ImageGtData",
        "MaskPooling",
        "MaskResize",
        "PSROIPooling",
        "Proposal",
        "ProposalTarget",
        "ROIAlign",
        "ROIPooling",
        "ROIWarping",
        "RPN",
        "ScaleRoute",
        "SmoothL1LossOHEM",
        "SoftmaxWithLossOHEM",
    ),
    "segmentation": (
        "AdaptiveBiasChannel",
        "BN",
        "BiasChannel",
        "DenseCRF",
        "DenseImageData",
        "DiceCoefLoss",
        "DomainTransform",
        "ImageLabelmapData",
        "ImageSegData",
        "Interp",
        "MultiStageMeanfield",
        "SegAccuracy",
        "SpatialDropout",
        "SpatialProduct",
        "UniqueLabel",
        "Unpooling",
        "Upsample",
    ),
    "mobile": (
        "Axpy",
        "ConvolutionDepthwise",
        "DepthwiseConvolution",
        "HardSwish",
        "Mul",
        "ReLU6",
        "ResizeNearestNeighbor",
        "ShuffleChannel",
        "Squeeze",
    ),
    "nvidia": (),
    "faces": (
        "CenterLoss",
        "ChannelScale",
        "FocalLoss",
        "Flip",
        "GeneralContrastiveLoss",
        "GeneralTripletLoss",
        "InnerDistance",
        "Insanity",
        "L2Norm",
        "L2Normalize",
        "LabelSpecificAdd",
        "LargeMarginInnerProduct",
        "LiftedStructSimilaritySoftmaxLoss",
        "Local",
        "MarginInnerProduct",
        "Noise",
        "Normalization",
        "NormalizationL2",
        "OnlineTripletLoss",
        "Resize",
        "TripletLoss",
    ),
    "flow": (
        "ChannelNorm",
        "Correlation",
        "Correlation1D",
        "DataAugmentation",
        "Downsample",
        "ExpMax",
        "FlowWarp",
        "Grid",
        "L1Loss",
        "LpqLoss",
        "NegReLU",
        "NegSquare",
        "Resample",
        "Warp",
    ),
    "yolo": (
        "DetectionLoss",
        "EvalDetection",
        "RegionLoss",
        "Mish",
        "Reorg",
        "YoloDetectionOutput",
        "Yolov3",
        "Yolov3DetectionOutput",
    ),
    "video": ("Convolution3D", "Deconvolution3D", "Pooling3D", "PoolingND", "VideoData"),
    "sequences": (
        "CTCGreedyDecoder",
        "CTCLoss",
        "ConvLSTM",
        "ContinuationIndicator",
        "CtcLoss",
        "LabelsequenceAccuracy",
        "ReverseTime",
        "WarpCTCLoss",
    ),
    "adaptation": ("EntropyLoss", "GradientScaler", "JMMDLoss", "MMDLoss", "OuterProduct"),
    "other": (
        "CuDNNBatchNorm",
        "DenseBlock",
        "Gather",
        "Lstm",
        "MultiLabelAccuracy",
        "MultiLabelLoss",
        "Padding",
        "Reverse",
        "SeLu",
        "SeLuDropout",
        "SpatialTransformer",
        "TensorTranspose",
        "Transpose",
        "WeightedSoftmaxWithLoss",
    ),
}
"""The types of Caffe's forks, by family."""

TYPES = BVLC.union(*FORKS.values())
"""All types that `engine.layers` registers."""


NOT_OBEYED = {
    "batch_norm_param": ("update_global_stats",),
    "convolution_param": ("tf_pad", "kernel_depth", "temporal_stride", "temporal_pad", "filter_group", "fuse_type"),
    "elu_param": ("lambda",),
    "image_data_param": ("ignore_label", "label_type"),
    "loss_param": ("weight_by_label_freqs", "class_weighting", "label_smoothing"),
    "pooling_param": ("torch_pooling", "kernel_depth", "temporal_stride"),
    "transform_param": (
        "crop_h",
        "crop_w",
        "crop_height",
        "crop_width",
        "distort_param",
        "emit_constraint",
        "expand_param",
        "noise_param",
        "resize_param",
        "scale_factors",
        "fix_crop",
        "is_flow",
        "more_fix_crop",
        "multi_scale",
        "scale_ratios",
        "random_resize_param",
        "random_aspect_ratio_param",
        "img_rand_resize_lower",
        "img_rand_resize_upper",
        "rand_resize_ratio_lower",
        "rand_resize_ratio_upper",
        "vertical_stretch_lower",
        "vertical_stretch_upper",
        "horizontal_stretch_lower",
        "horizontal_stretch_upper",
    ),
    "video_data_param": ("device_id", "skip_frames", "video_file", "video_type"),
}
"""Fields that forks have added to Caffe's own blocks, and that only the layers in _OBEYED obey."""

_WEIGHTS = ("loss_param.weight_by_label_freqs", "loss_param.class_weighting")
_CROPS = ("crop_h", "crop_w", "crop_height", "crop_width", "scale_factors")
_SIZES = tuple(
    f"transform_param.{name}" for name in NOT_OBEYED["transform_param"] if "rand" in name or "stretch" in name
)

_OBEYED = {
    "Data": _SIZES,
    "ImageData": _SIZES,
    "AnnotatedData": tuple(
        f"transform_param.{name}"
        for name in ("distort_param", "emit_constraint", "expand_param", "noise_param", "resize_param")
    ),
    "ImageSegData": (
        "image_data_param.ignore_label",
        "image_data_param.label_type",
        *(f"transform_param.{name}" for name in _CROPS),
    ),
    "VideoData": tuple(
        f"transform_param.{name}" for name in ("fix_crop", "is_flow", "more_fix_crop", "multi_scale", "scale_ratios")
    ),
    "SoftmaxWithLoss": _WEIGHTS,
    "SoftmaxWithLossOHEM": _WEIGHTS,
}
"""The fields of NOT_OBEYED that a layer type obeys after all, by type."""


def known() -> frozenset[str]:
    """All available types, including those of modules from outside the tree.

    Raises LayerError for a type of such a module that the tree has as well.
    """
    outside = layer_modules.types()
    for kind in sorted(outside.keys() & TYPES):
        raise LayerError(f'{outside[kind].path}: there is a layer "{kind}" already: give yours another name.')
    return TYPES | outside.keys()


def lacking(config: pb.LayerParameter, types: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
    """What a layer asks for that is not supported, its type or fields of forks: the name of each, and a message.

    types: the available types, if not `known`.
    """
    if config.type not in (known() if types is None else types):
        yield config.type, unknown(config.type)
    for name in not_obeyed(config):
        yield name, f"{name} is a field of a fork of Caffe, and is not supported here."


def not_obeyed(config: pb.LayerParameter) -> Iterator[str]:
    """The fields of a layer, as block.field, that ask for something only a fork does."""
    for block, names in NOT_OBEYED.items():
        if config.HasField(block):
            for field, value in getattr(config, block).ListFields():
                if f"{block}.{field.name}" in _OBEYED.get(config.type, ()):
                    continue
                if field.name in names and (field.is_repeated or field.message_type or value != field.default_value):
                    yield f"{block}.{field.name}"


def unknown(kind: str) -> str:
    """The message for an unknown type: the fork that it belongs to, or the types that resemble it."""
    if not kind:
        return 'it has no type, as type: "Convolution".'
    if kind in forks.TYPES:
        instead = f" {STAND_INS[kind]}" if kind in STAND_INS else ""
        return f'layer type "{kind}" is not one of Caffe\'s: it belongs to {forks.TYPES[kind]}.{instead}'
    types = known()
    beginning = sorted((own for own in BVLC if len(kind) > 2 and own.lower().startswith(kind.lower())), key=len)
    near = [*beginning[:1], *suggest.closest(kind, types, 3, cutoff=0.65, ignore_case=True)]
    near = list(dict.fromkeys(near))[:3]
    meant = near and not _is_variant(kind, near[0])
    advice = f"Did you mean {' or '.join(near)}?" if meant else f"There are: {', '.join(sorted(types))}."
    return f'unknown layer type "{kind}". {advice}'


def _is_variant(kind: str, known: str) -> bool:
    """Whether `kind` is `known` plus a word or number: another layer, such as Convolution3D, and not a misspelling."""
    before, found, after = kind.partition(known)
    return bool(found) and bool(before or after[:1].isupper() or after[:1].isdigit())
