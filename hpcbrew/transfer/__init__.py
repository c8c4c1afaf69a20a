"""Moves data to a cluster's scratch, and back from it."""
