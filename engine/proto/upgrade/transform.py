"""`scale`, `mean_file`, `crop_size` and `mirror` inside a data layer's own block, moved to `transform_param`.

Caffe moves them in V1 layers and silently ignores them in today's. Here they are obeyed in both.
"""

from google.protobuf import text_format

from engine.proto import caffe_pb2 as pb

_BLOCKS = {"Data": "data_param", "ImageData": "image_data_param", "WindowData": "window_data_param"}
_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


def upgrade(net: pb.NetParameter) -> list[str]:
    """Moves the transformations of `net`'s data layers, in place; the notices show what to write instead."""
    return [notice for layer in net.layer if layer.type in _BLOCKS for notice in _move(layer)]


def _move(layer: pb.LayerParameter) -> list[str]:
    block = _BLOCKS[layer.type]
    old = getattr(layer, block)
    old_fields = [name for name in _FIELDS if old.HasField(name)]
    moved, ignored = pb.TransformationParameter(), []
    for name in old_fields:
        if layer.transform_param.HasField(name):
            ignored.append(name)
        else:
            setattr(moved, name, getattr(old, name))
        old.ClearField(name)
    where = f'layer "{layer.name}" ({layer.type})'
    notices = []
    if ignored:
        notices.append(f"{where}: {', '.join(ignored)} in {block}: ignored, since transform_param gives it too")
    if moved.ListFields():
        layer.transform_param.MergeFrom(moved)
        form = text_format.MessageToString(moved, as_one_line=True)
        notices.append(f"{where}: {block} is no longer the place for this; write transform_param {{ {form} }}")
    return notices
