"""BatchNorm layers with three `param` blocks, from when users had to keep its statistics from being learned."""

from engine.proto import caffe_pb2 as pb


def upgrade(net: pb.NetParameter) -> list[str]:
    """Sets lr_mult and decay_mult of such parameters to 0, in place; their names stay. Returns notices for the user."""
    learning = []
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            if any(param.lr_mult != 0 for param in layer.param):
                learning.append(layer.name)
            for param in layer.param:
                param.lr_mult = 0
                param.decay_mult = 0
    if not learning:
        return []
    return [
        f"BatchNorm's three parameters are running averages, which are not learned: lr_mult and decay_mult are taken "
        f"as 0 in layer {', '.join(learning)}. For a learned scale and shift, add a Scale layer with bias_term: true"
    ]
