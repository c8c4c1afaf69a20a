"""V0 layers (2013), `layers { layer { type: "conv" kernelsize: 5 … } bottom … top … }`, into V1 layers."""

from google.protobuf.message import Message

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb

_V1 = pb.V1LayerParameter

TYPES = {
    "accuracy": _V1.ACCURACY,
    "bnll": _V1.BNLL,
    "concat": _V1.CONCAT,
    "conv": _V1.CONVOLUTION,
    "data": _V1.DATA,
    "dropout": _V1.DROPOUT,
    "euclidean_loss": _V1.EUCLIDEAN_LOSS,
    "flatten": _V1.FLATTEN,
    "hdf5_data": _V1.HDF5_DATA,
    "hdf5_output": _V1.HDF5_OUTPUT,
    "im2col": _V1.IM2COL,
    "images": _V1.IMAGE_DATA,
    "infogain_loss": _V1.INFOGAIN_LOSS,
    "innerproduct": _V1.INNER_PRODUCT,
    "lrn": _V1.LRN,
    "multinomial_logistic_loss": _V1.MULTINOMIAL_LOGISTIC_LOSS,
    "pool": _V1.POOLING,
    "relu": _V1.RELU,
    "sigmoid": _V1.SIGMOID,
    "softmax": _V1.SOFTMAX,
    "softmax_loss": _V1.SOFTMAX_LOSS,
    "split": _V1.SPLIT,
    "tanh": _V1.TANH,
    "window_data": _V1.WINDOW_DATA,
}

_PARAMETERS = {
    "concat": "concat_param",
    "conv": "convolution_param",
    "data": "data_param",
    "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param",
    "lrn": "lrn_param",
    "pool": "pooling_param",
    "window_data": "window_data_param",
}
"""V0 type → the block of a V1 layer for its fields."""

_FIELDS = {
    "biasterm": ("bias_term", "conv innerproduct"),
    "num_output": ("num_output", "conv innerproduct"),
    "weight_filler": ("weight_filler", "conv innerproduct"),
    "bias_filler": ("bias_filler", "conv innerproduct"),
    "pad": ("pad", "conv pool"),
    "kernelsize": ("kernel_size", "conv pool"),
    "stride": ("stride", "conv pool"),
    "group": ("group", "conv"),
    "pool": ("pool", "pool"),
    "dropout_ratio": ("dropout_ratio", "dropout"),
    "local_size": ("local_size", "lrn"),
    "alpha": ("alpha", "lrn"),
    "beta": ("beta", "lrn"),
    "k": ("k", "lrn"),
    "source": ("source", "data hdf5_data images window_data infogain_loss"),
    "batchsize": ("batch_size", "data hdf5_data images window_data"),
    "rand_skip": ("rand_skip", "data images"),
    "shuffle_images": ("shuffle", "images"),
    "new_height": ("new_height", "images"),
    "new_width": ("new_width", "images"),
    "concat_dim": ("concat_dim", "concat"),
    "det_fg_threshold": ("fg_threshold", "window_data"),
    "det_bg_threshold": ("bg_threshold", "window_data"),
    "det_fg_fraction": ("fg_fraction", "window_data"),
    "det_context_pad": ("context_pad", "window_data"),
    "det_crop_mode": ("crop_mode", "window_data"),
}
"""V0 field → its V1 name, and the V0 types that have it."""

_TRANSFORMATIONS = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
_SHARED = ("name", "type", "blobs", "blobs_lr", "weight_decay")


def upgrade(net: pb.NetParameter) -> list[str]:
    """Rewrites the V0 layers of `net` as V1 layers, with padding layers folded into what they pad, in place.

    Returns notices for the user. Raises PrototxtError.
    """
    if not any(layer.HasField("layer") for layer in net.layers):
        return []
    notices = ["is in the form of 2013 (V0, a layer inside each of layers); read as today's"]
    _fold_padding(net)
    for layer in net.layers:
        if layer.HasField("layer"):
            notices += _upgrade_layer(layer)
    return notices


def _fold_padding(net: pb.NetParameter) -> None:
    """Gives the `pad` of each padding layer to the convolution or pooling that reads it, and drops the layer."""
    makers: dict[str, pb.V1LayerParameter] = {}
    for layer in net.layers:
        for i, bottom in enumerate(layer.bottom):
            source = makers.get(bottom)
            if source is None or source.layer.type != "padding":
                continue
            if layer.layer.type not in ("conv", "pool"):
                raise PrototxtError(
                    f'layer "{layer.layer.name}" ({layer.layer.type}): reads the padding layer "{source.layer.name}". '
                    "Only conv and pool can."
                )
            if (len(layer.bottom), len(source.bottom), len(source.top)) != (1, 1, 1):
                raise PrototxtError(
                    f'layer "{layer.layer.name}" ({layer.layer.type}): it and the padding layer '
                    f'"{source.layer.name}" that it reads must have one bottom each, and the padding layer one top.'
                )
            layer.layer.pad = source.layer.pad
            layer.bottom[i] = source.bottom[0]
        makers.update(dict.fromkeys(layer.top, layer))
    for i in reversed(range(len(net.layers))):
        if net.layers[i].layer.type == "padding":
            del net.layers[i]


def _upgrade_layer(layer: pb.V1LayerParameter) -> list[str]:
    old = pb.V0LayerParameter()
    old.CopyFrom(layer.layer)
    layer.ClearField("layer")
    where = f'layer "{old.name}" ({old.type})'
    if old.HasField("type") and old.type not in TYPES:
        raise PrototxtError(f"{where}: no such type among V0 layers. They are: {', '.join(TYPES)}.")
    unknown = []
    for field, value in old.ListFields():
        if field.name in _SHARED:
            _set(layer, field.name, TYPES[value] if field.name == "type" else value)
        elif field.name in _TRANSFORMATIONS:
            setattr(layer.transform_param, _TRANSFORMATIONS[field.name], value)
        elif field.name == "hdf5_output_param" and old.type == "hdf5_output":
            layer.hdf5_output_param.CopyFrom(value)
        elif field.name in _FIELDS and old.type in _FIELDS[field.name][1].split():
            _set(getattr(layer, _PARAMETERS[old.type]), _FIELDS[field.name][0], value)
        else:
            unknown.append(field.name)
    return [f"{where}: {', '.join(unknown)}: not for this type; ignored"] if unknown else []


def _set(message: Message, name: str, value: object) -> None:
    """Sets a field of any kind; one that has become repeated since then gets `value` as its only element."""
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.is_repeated:
        getattr(message, name).extend([value] if isinstance(value, int | float) else value)
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)
