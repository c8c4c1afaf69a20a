"""The outcome of an ended job, which the ledger keeps: the cluster may be out of reach and the run folder gone."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from engine import schema
from engine.schema import Malformed
from hpcbrew.track.run_folder import Progress, read_progress


@dataclass(frozen=True)
class Outcome:
    """How far the training got, when the job ended (Unix seconds), and the engine's own words if it refused."""

    progress: Progress | None = None
    ended: float | None = None
    words: str = ""

    @property
    def ran(self) -> float | None:
        """Seconds from the engine's start to the job's end; None if either is unknown."""
        began = self.progress.began if self.progress else None
        return None if began is None or self.ended is None else max(0.0, self.ended - began)

    def as_text(self) -> str:
        """Returns JSON that `read_outcome` reads."""
        progress = asdict(self.progress) if self.progress else None
        return json.dumps({"progress": progress, "ended": self.ended, "words": self.words})


def read_outcome(text: str | None) -> Outcome:
    """Reads a stored outcome; returns an empty one if there is none or it is malformed."""
    try:
        values: dict[str, Any] = schema.read_object((text or "{}").encode(errors="replace"))
        progress = schema.field(values, "progress", schema.none_or(schema.mapping), None)
        return Outcome(
            read_progress(json.dumps(progress).encode()) if progress else None,
            schema.field(values, "ended", schema.none_or(schema.seconds), None),
            schema.field(values, "words", schema.words, ""),
        )
    except Malformed:
        return Outcome()
