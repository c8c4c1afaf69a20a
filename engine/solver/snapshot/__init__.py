"""Snapshots: models, solver states, and what an exact resume needs beside them."""
