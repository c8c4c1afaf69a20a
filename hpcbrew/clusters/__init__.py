"""Clusters: the profiles of sites, shipped and the user's own, and the user's settings."""
