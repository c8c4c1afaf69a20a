"""Transports: run a command on a cluster, move files to and from it. They know nothing of jobs."""
