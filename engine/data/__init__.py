"""Turns records on disk into batches on the device: databases, decoding, transformations, sources, and the feed."""

from engine.data import picture_limits

picture_limits.set_for_opencv()
