"""Turns a request into a plan: what the job is, which files it needs, and its script. Nothing is sent or run here."""
