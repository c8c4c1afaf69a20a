"""Whether a model's arrays fit the parameters of a layer."""

from collections.abc import Sequence

Shape = tuple[int, ...]


def complaint(layer: str, found: Sequence[Shape], wanted: Sequence[tuple[str, Shape]]) -> str | None:
    """What is wrong with a layer's arrays in a model, in words that go on from the model's name; None where they fit.

    wanted: what messages call each of the layer's parameters, and its shape. Old models pad theirs to
    4 axes with leading ones.
    """
    if len(found) != len(wanted):
        return f"layer {layer!r} has {len(found)} parameters there and {len(wanted)} here."
    for shape, (name, own) in zip(found, wanted, strict=True):
        if shape not in (own, (1,) * (4 - len(own)) + own):
            return (
                f"{name} of layer {layer!r} has shape {list(shape)} there and {list(own)} in this net. "
                "To learn it anew, rename the layer."
            )
    return None
