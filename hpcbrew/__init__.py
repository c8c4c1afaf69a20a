"""hpcbrew: submits Caffe training jobs to PBS clusters, and to a queue on this machine. Imports no JAX."""
