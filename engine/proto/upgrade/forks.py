"""Blocks of forks of Caffe that say with other fields what Caffe's own, or those of today, say."""

from engine.proto import caffe_pb2 as pb

_VIDEO = {
    "Convolution3D": ("convolution_param", "convolution3d_param"),
    "Deconvolution3D": ("convolution_param", "convolution3d_param"),
    "Pooling3D": ("pooling_param", "pooling3d_param"),
}
"""Layers of C3D's nets of 2014 → the block that they have there, and the one that they have today."""


def upgrade(net: pb.NetParameter) -> list[str]:
    """DeepLab's `hole` is `dilation`; the blocks of C3D's nets of 2014 are those of its later ones."""
    for layer in net.layer:
        if layer.HasField("convolution_param"):
            _dilate(layer.convolution_param)
        if layer.type in _VIDEO:
            _of_today(layer, *_VIDEO[layer.type])
    return []


def _dilate(p: pb.ConvolutionParameter) -> None:
    if p.dilation or not (p.hole or p.HasField("hole_h") or p.HasField("hole_w")):
        return
    p.dilation.extend(p.hole or (p.hole_h or 1, p.hole_w or 1))
    for name in ("hole", "hole_h", "hole_w"):
        p.ClearField(name)


def _of_today(layer: pb.LayerParameter, old: str, new: str) -> None:
    if not layer.HasField(old) or layer.HasField(new):
        return
    block = getattr(layer, new)
    block.SetInParent()
    for field, value in getattr(layer, old).ListFields():
        if field.name not in block.DESCRIPTOR.fields_by_name:
            continue
        one = value[0] if field.is_repeated else value
        if field.message_type is not None:
            getattr(block, field.name).CopyFrom(one)
        else:
            setattr(block, field.name, one)
