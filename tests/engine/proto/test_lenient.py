import pytest

from engine.proto.lenient import respelt


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("value: - 5", "value:  -5"),
        ("value: -\n5\nname: 'x'", "value: \n-5\nname: 'x'"),
        ("values: [ - 1, - nan ]", "values: [  -1,  -nan ]"),
        ("value: -5 # - 5", "value: -5 # - 5"),
        ('name: "- 5"', 'name: "- 5"'),
        ('name: "\\303\\251"', 'name: "\\303\\251"'),
        ('name: "\\q"', 'name: "\\q"'),
        ('name: "\\351\\n"', 'name: "\U0010ffe9\\n"'),
        ("name: 'a\\?b\\\\?' # \\?", "name: 'a?b\\\\?' # \\?"),
        ("name -", "name -"),
    ],
)
def test_only_what_caffe_alone_takes_is_respelt(written, meant):
    assert respelt(written) == meant
