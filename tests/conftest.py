import pytest

pytest.register_assert_rewrite("support")  # before any test imports it
pytest_plugins = ["support.fixtures"]
