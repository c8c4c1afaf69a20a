"""`input`, `input_shape` and `input_dim` at the top of a net, turned into an Input layer."""

from engine.errors import PrototxtError
from engine.proto import caffe_pb2 as pb


def upgrade(net: pb.NetParameter) -> list[str]:
    """Makes `net`'s inputs the tops of an Input layer named "input", its first layer.

    Shapes are given by `input_shape`, one per input, or by four values of `input_dim` per input. If there are none, the
    inputs are dropped, as in Caffe (a .caffemodel may have such inputs). Raises PrototxtError if there are too few.
    """
    if not net.input:
        return []
    names, shapes = list(net.input), _shapes(net)
    if 0 < len(shapes) < len(names):
        raise PrototxtError(
            f'input "{names[len(shapes)]}" has no shape: there are {len(names)} inputs, {len(net.input_shape)} '
            f"input_shape and {len(net.input_dim)} input_dim. Give each an input_shape, or four input_dim."
        )
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
    if not shapes:
        return [f"input {', '.join(names)}: no input_shape or input_dim is given; ignored"]
    layer = pb.LayerParameter(name="input", type="Input", top=names)
    layer.input_param.shape.extend(shapes[: len(names)])
    net.layer.insert(0, layer)
    return []


def _shapes(net: pb.NetParameter) -> list[pb.BlobShape]:
    if net.input_shape:
        return list(net.input_shape)
    dims = net.input_dim
    if len(dims) % 4:
        raise PrototxtError(
            f"input_dim is given {len(dims)} times: an input takes four (number, channels, height, width)."
        )
    return [pb.BlobShape(dim=dims[i : i + 4]) for i in range(0, len(dims), 4)]
