"""Caffe's schema: messages, their text and binary forms, and the upgrades of old ones. Imports no JAX."""
