"""Caffe's tools by their own names: one file a tool, each with main(argv)."""
