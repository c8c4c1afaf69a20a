"""Splits the fused layers in deployed nets of Intel's clCaffe (`fuse_type`) into separate layers again."""

from collections.abc import Iterator

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb

_Conv = pb.ConvolutionParameter

_BEHIND = {
    _Conv.FUSED_CONV_RELU: ("ReLU",),
    _Conv.FUSED_CONV_ELTWISE_RELU: ("Eltwise", "ReLU"),
    _Conv.FUSED_CONV_ELTWISE: ("Eltwise",),
    _Conv.FUSED_CONV_PRELU: ("PReLU",),
    _Conv.FUSED_CONV_ELTWISE_PRELU: ("Eltwise", "PReLU"),
}
"""The types of the layers fused into a convolution, in order."""


def upgrade(net: pb.NetParameter) -> list[str]:
    """Rewrites `net`, in place, with one layer for each step. Weights stay with their layer, except PReLU's, which move
    from the convolution's last blob to the PReLU. Raises PrototxtError for a fused layer that has not one top."""
    if any(map(_behind, net.layer)):
        layers = [written for layer in net.layer for written in _written_out(layer)]
        del net.layer[:]
        net.layer.extend(layers)
    return []


def _behind(layer: pb.LayerParameter) -> tuple[str, ...]:
    """The types of the layers fused into a layer."""
    if layer.lrn_param.fuse_type == pb.LRNParameter.FUSED_POOL_MAX:
        return ("Pooling",)
    return _BEHIND.get(layer.convolution_param.fuse_type, ())


def _written_out(layer: pb.LayerParameter) -> Iterator[pb.LayerParameter]:
    kinds = _behind(layer)
    if not kinds:
        yield layer
        return
    if len(layer.top) != 1:
        raise PrototxtError(f'layer "{layer.name}" has a fuse_type and {len(layer.top)} tops; a fused layer has one.')
    first = pb.LayerParameter()
    first.CopyFrom(layer)
    last = [_next(layer, kind) for kind in kinds]
    if kinds[-1] == "PReLU" and layer.blobs:
        last[-1].blobs.append(first.blobs.pop())
    if "Eltwise" in kinds and len(layer.bottom) > 1:
        last[0].bottom.append(first.bottom.pop())
    for name in ("fuse_type", "eltwise_param", "relu_param", "prelu_param"):
        first.convolution_param.ClearField(name)
    for name in ("fuse_type", "pooling_param"):
        first.lrn_param.ClearField(name)
    first.ClearField("lrn_param" if layer.HasField("convolution_param") else "convolution_param")
    tops = [f"{layer.name}/{layer.type.lower()}"] + [f"{each.name}" for each in last[:-1]]
    del first.top[:]
    first.top.append(tops[0])
    yield first
    for each, bottom, top in zip(last, tops, [*tops[1:], layer.top[0]], strict=True):
        each.bottom.insert(0, bottom)
        each.top.append(top)
        yield each


def _next(layer: pb.LayerParameter, kind: str) -> pb.LayerParameter:
    """The layer of type `kind` that is fused into `layer`, without its bottoms and tops."""
    new_layer = pb.LayerParameter(
        name=f"{layer.name}/{kind.lower()}", type=kind, include=layer.include, exclude=layer.exclude
    )
    if layer.HasField("phase"):
        new_layer.phase = layer.phase
    block = f"{kind.lower()}_param"
    source = layer.lrn_param if kind == "Pooling" else layer.convolution_param
    if source.HasField(block):
        getattr(new_layer, block).CopyFrom(getattr(source, block))
    return new_layer
