"""VideoData: snippets of videos whose frames are stored as images in folders (temporal segment networks)."""

from collections.abc import Iterable

from engine.data.source import Source
from engine.data.video_source import VideoCut, VideoSource
from engine.host import memory
from engine.layers import data_lines
from engine.layers.base import LogLine, Shape
from engine.layers.registry import layer
from engine.layers.sources import DataLayer
from engine.proto import caffe_pb2 as pb

_DRAWN = 64
"""Bytes that the position of a segment takes."""


@layer("VideoData")
class VideoData(DataLayer):
    """Snippets of videos, and their labels, from folders of frames named in a list (Wang et al. 2016).

    Each line of the list gives a folder, its number of frames and a label. Tops: new_length frames from each of
    num_segments parts of the video, stacked as channels (batch_size, channels, height, width), resized to new_height ×
    new_width if these are set; labels (batch_size, 1, 1, 1).
    """

    tops = (1, 2)

    def batches(self, seed: int) -> Source:
        p = self.config.video_data_param
        if not p.source:
            raise self.error(
                "video_data_param has no source, a list of folders of frames. Cameras and video files, as in SSD's "
                "layer, are not supported: extract the frames as pictures first."
            )
        self.check_stretched(p)
        if not p.new_length or not p.num_segments:
            raise self.error(f"new_length is {p.new_length} and num_segments {p.num_segments}; each must be 1 or more.")
        if lacking := memory.lacking(_DRAWN * self.batch_size(p.batch_size) * p.num_segments):
            raise self.error(f"num_segments: {p.num_segments} of each record {lacking}, besides their frames.")
        cut = VideoCut(self.config.transform_param, random=self.phase == pb.TRAIN)
        return VideoSource(
            self.path("source", p.source), self.config.top, p, cut, seed, definition=self.node.origin.path
        )

    def lines(self, batches: VideoSource, shape: Shape) -> Iterable[LogLine]:
        return data_lines.skip(self.config.video_data_param.rand_skip, len(batches.videos))
