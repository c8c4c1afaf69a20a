"""VideoData: pieces of videos whose frames lie as pictures in folders (temporal segment networks)."""

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
"""Bytes that the place of a segment takes."""


@layer("VideoData")
class VideoData(DataLayer):
    """Pieces of videos, and their labels, from folders of frames that a list names (Wang et al. 2016).

    Each line of the list is a folder, its number of frames and a label. Tops: the channels of new_length frames of each
    of num_segments parts (batch_size, channels, height, width), stretched to new_height × new_width if these are set;
    labels (batch_size, 1, 1, 1).
    """

    tops = (1, 2)

    def batches(self, seed: int) -> Source:
        p = self.config.video_data_param
        if not p.source:
            raise self.error(
                "video_data_param has no source, a list of folders of frames. Cameras and video files, of SSD, are not "
                "read: make pictures of the frames first."
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
