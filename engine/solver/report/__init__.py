"""What a run says of itself: Caffe's log lines, progress and metrics, magnitudes, NaN."""
