"""Rewrites new-style `layer` blocks with old-style contents, as slides and tutorials from the time between show them.

    layer { name: "ip" type: INNER_PRODUCT blobs_lr: 1 blobs_lr: 2 param: "shared" … }

Caffe does not read that. It is rewritten, on the same lines, to what it means:

    layer { name: "ip" type: "InnerProduct" param { name: "shared" lr_mult: 1 } param { lr_mult: 2 } … }
"""

from itertools import zip_longest
from typing import NamedTuple

from engine.proto import tokens
from engine.proto.upgrade import v1

_PARAM = {"param": "name", "blobs_lr": "lr_mult", "weight_decay": "decay_mult", "blob_share_mode": "share_mode"}


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def modernise(text: str) -> tuple[str, list[tuple[int, str]]]:
    """`text` with every such block rewritten, and the line and a notice for each. Everything else stays, lines too."""
    all_tokens = tokens.tokenize(text)
    edits: list[_Edit] = []
    notices: list[tuple[int, str]] = []
    for field in tokens.fields(all_tokens):
        if field.name.text == "layer" and field.block:
            changes = _layer_edits(list(tokens.fields(all_tokens, *field.block)))
            if changes:
                edits += changes
                form = " ".join(change.text for change in sorted(changes) if change.text)
                notices.append((field.name.line, f"this layer mixes an old form and today's; write {form}"))
    for edit in sorted(edits, reverse=True):
        lost_lines = "\n" * text.count("\n", edit.start, edit.end)
        text = text[: edit.start] + edit.text + lost_lines + text[edit.end :]
    return text, notices


def _layer_edits(fields: list[tokens.Field]) -> list[_Edit]:
    edits = []
    for field in fields:
        if field.name.text == "type" and len(field.values) == 1 and field.values[0].text in v1.TYPES:
            edits.append(_Edit(field.name.start, field.end, f'type: "{v1.TYPES[field.values[0].text]}"'))
    old = [field for field in fields if field.name.text in _PARAM and field.values]
    if old and not any(field.name.text == "param" and field.block for field in fields):
        edits += [_Edit(field.name.start, field.end, "") for field in old[1:]]
        edits.append(_Edit(old[0].name.start, old[0].end, _param_blocks(old)))
    return edits


def _param_blocks(old: list[tokens.Field]) -> str:
    columns = [
        [f"{new}: {value.text}" for field in old if field.name.text == name for value in field.values]
        for name, new in _PARAM.items()
    ]
    return " ".join("param { " + " ".join(filter(None, row)) + " }" for row in zip_longest(*columns))
