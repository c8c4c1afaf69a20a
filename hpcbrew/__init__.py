"""hpcbrew: submits Caffe training jobs to PBS clusters or to a queue on this machine. It never imports JAX."""
