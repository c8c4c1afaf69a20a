"""The net: a graph with shapes and parameters, and one pure forward pass."""
