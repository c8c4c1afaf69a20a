"""Caffe's schema: its messages, their text and binary formats, and upgrades of old files. Imports no JAX."""
