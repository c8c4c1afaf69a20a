"""From records on disk to batches on the device: databases, decoding, transformation, sources, and the feed."""

import os

from engine.host import memory

# OpenCV reads this when it is loaded: a picture that says to have more pixels is not decoded. A pixel's colours and
# their float32 values take 15 bytes.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(min(1 << 30, memory.limit() // 16)))
