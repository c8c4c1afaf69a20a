"""From records on disk to batches on the device: databases, decoding, transformation, sources, and the feed."""
