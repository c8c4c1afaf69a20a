"""What a run reports: Caffe's log lines, progress and metrics, magnitudes, NaN."""
