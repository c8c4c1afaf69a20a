"""Data on their way: to a cluster's scratch, and home from it."""
