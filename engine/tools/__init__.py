"""Caffe's tools, which are programs of their own: one file per tool, each with main(argv)."""
