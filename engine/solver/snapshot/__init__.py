"""Snapshots: models, solver states, and what an exact resume needs besides these."""
