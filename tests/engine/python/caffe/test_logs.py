"""The log of a Python program."""

import caffe


def test_it_is_glogs_on_stderr(capsys):
    caffe.init_log(0, True)
    caffe.log("three devices")
    assert capsys.readouterr().err.rstrip().endswith("_caffe.cpp:71] three devices")
    caffe.init_log(2)
    caffe.log("nobody hears it")
    assert not capsys.readouterr().err
    caffe.init_log()


def test_scripts_of_flownet_turn_it_off(capsys):
    caffe.set_logging_disabled()
    caffe.log("nobody hears it")
    assert not capsys.readouterr().err
    caffe.init_log()
