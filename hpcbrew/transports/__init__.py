"""Transports: run commands on a cluster, and move files to and from it. They know nothing about jobs."""
