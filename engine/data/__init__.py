"""From records on disk to batches on the device: databases, decoding, transformation, sources, and the feed."""

from engine.data import picture_limits

picture_limits.set_for_opencv()
