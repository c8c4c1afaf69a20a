"""Fields of Caffe's forks that have an equivalent in Caffe's own or today's fields, rewritten to these."""

from engine.proto import caffe_pb2 as pb

_VIDEO = {
    "Convolution3D": ("convolution_param", "convolution3d_param"),
    "Deconvolution3D": ("convolution_param", "convolution3d_param"),
    "Pooling3D": ("pooling_param", "pooling3d_param"),
}
"""Layer type of C3D's nets of 2014 → the block that it has there, and the one that it has today."""

_ENGINES = ("MKL2017", "MKLDNN")


def upgrade(net: pb.NetParameter) -> list[str]:
    """Rewrites, in place, fields of DeepLab, C3D, Synopsys' and Intel's Caffe; returns notices of those that have no
    effect."""
    for layer in net.layer:
        if layer.HasField("convolution_param"):
            _dilate(layer.convolution_param)
            _pad(layer.convolution_param)
        if layer.HasField("pooling_param"):
            _pad(layer.pooling_param)
            _average(layer.pooling_param)
        if layer.type == "ReLU" and layer.relu_param.relu6:
            layer.type, layer.relu6_param.negative_slope = "ReLU6", layer.relu_param.negative_slope
            layer.ClearField("relu_param")
        if layer.type in _VIDEO:
            _of_today(layer, *_VIDEO[layer.type])
    return [*_of_intel(net), *_in_floats(net)]


def _of_intel(net: pb.NetParameter) -> list[str]:
    size = net.bn_stats_batch_size
    engines = [engine for engine in (net.engine, *(layer.engine for layer in net.layer)) if engine]
    for message in (net, *net.layer):
        message.ClearField("engine")
    net.ClearField("bn_stats_batch_size")
    for layer in net.layer:
        for field, block in layer.ListFields():
            if field.message_type and not field.is_repeated and "engine" in field.message_type.fields_by_name:
                engine = field.message_type.fields_by_name["engine"]
                name = engine.enum_type.values_by_number[block.engine].name if engine.enum_type else ""
                if name in _ENGINES:
                    engines.append(name)
                    block.ClearField("engine")
        if layer.type == "BatchNorm":
            _plain_batch_norm(layer.batch_norm_param, size)
    if not engines:
        return []
    return [f"engine {', '.join(dict.fromkeys(engines))} is one of Intel's Caffe, and has no effect"]


def _in_floats(net: pb.NetParameter) -> list[str]:
    quantized = [layer for layer in net.layer if layer.HasField("quantization_param")]
    for layer in quantized:
        layer.ClearField("quantization_param")
    if not quantized:
        return []
    return [f"quantization_param, first in layer {quantized[0].name}, has no effect: all is computed in float32"]


def _plain_batch_norm(p: pb.BatchNormParameter, size: int) -> None:
    """Removes the scale and shift that Intel's engines fuse from the Scale layer after it, which still applies them."""
    own = [name for name in ("filler", "use_weight_bias", "bias_term") if p.HasField(name)]
    for name in (*own, *(["bias_filler"] if own else [])):
        p.ClearField(name)
    if size and not p.HasField("stats_batch_size"):
        p.stats_batch_size = size


def _dilate(p: pb.ConvolutionParameter) -> None:
    """Turns DeepLab's `hole` into `dilation`."""
    if p.dilation or not (p.hole or p.HasField("hole_h") or p.HasField("hole_w")):
        return
    p.dilation.extend(p.hole or (p.hole_h or 1, p.hole_w or 1))
    for name in ("hole", "hole_h", "hole_w"):
        p.ClearField(name)


def _pad(p: pb.ConvolutionParameter | pb.PoolingParameter) -> None:
    """Turns padding that is the same on both sides into pad_h and pad_w."""
    sides = ("pad_t", "pad_b", "pad_l", "pad_r")
    top, bottom, left, right = (getattr(p, name) for name in sides)
    has_pad = p.pad or p.HasField("pad_h") or p.HasField("pad_w")
    if has_pad or (top, left) != (bottom, right) or min(top, left) < 0:
        return
    for name in sides:
        p.ClearField(name)
    if top or left:
        p.pad_h, p.pad_w = top, left


def _average(p: pb.PoolingParameter) -> None:
    """Replaces AVE_TF by AVE_EXC_PAD, its newer name, or by AVE, which is the same without padding."""
    if p.pool in (p.AVE_EXC_PAD, p.AVE_TF):
        pads = (p.pad, p.pad_h, p.pad_w, p.pad_t, p.pad_b, p.pad_l, p.pad_r)
        p.pool = p.AVE_EXC_PAD if any(pads) else p.AVE


def _of_today(layer: pb.LayerParameter, old: str, new: str) -> None:
    """Moves the fields of the block `old` to the block `new`, unless that is given."""
    if not layer.HasField(old) or layer.HasField(new):
        return
    old_block, block = getattr(layer, old), getattr(layer, new)
    block.SetInParent()
    for field, value in old_block.ListFields():
        if field.name not in block.DESCRIPTOR.fields_by_name:
            continue
        one = value[0] if field.is_repeated else value
        if field.message_type is not None:
            getattr(block, field.name).CopyFrom(one)
        else:
            setattr(block, field.name, one)
        if field.name != "bias_term":  # Deconvolution3D reads it in the old block
            old_block.ClearField(field.name)
