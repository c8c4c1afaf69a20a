"""What a terminal would obey or hide."""

import pytest

from engine.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1", "conv1"),
        ("größer, 卷积", "größer, 卷积"),
        ("two\n\tlines", "two\n\tlines"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\x00\x7f\x9b", "a\\rb\\x00\\x7f\\x9b"),
        ("\u202e\u2028\udc80\U000e0001", "\\u202e\\u2028\\x80\\U000e0001"),
    ],
)
def test_it_is_shown(text, shown):
    assert printable(text) == shown
