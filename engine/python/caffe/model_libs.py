"""Where scripts of SSD's Caffe look for its functions that build nets: they run on this one, from a file of theirs."""

raise ModuleNotFoundError(
    "caffe.model_libs is a file of SSD's Caffe alone. It runs here: put python/caffe/model_libs.py of "
    "https://github.com/weiliu89/caffe/tree/ssd beside your script, and write there `from model_libs import *`.",
    name=__name__,
)
