"""The contents of job.json for a small job."""

DESCRIPTION: dict[str, object] = {
    "name": "lenet",
    "set": {"base_lr": "0.1"},
    "resources": {"nodes": 2},
    "links": 1,
    "engine": "own",
    "after": None,
    "definitions": ["solver.prototxt"],
}
