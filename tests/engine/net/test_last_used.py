"""Those used last are kept."""

from engine.net.last_used import LastUsed


def test_the_one_that_was_not_used_for_longest_goes():
    kept: LastUsed[str, int] = LastUsed(2)
    assert [kept.put(name, n) for n, name in enumerate("ab")] == [0, 1]
    assert kept.get("a") == 0
    kept.put("c", 2)
    assert [kept.get(name) for name in "abc"] == [0, None, 2]
    assert len(kept) == 2


def test_what_is_put_anew_counts_as_used():
    kept: LastUsed[str, int] = LastUsed(2)
    for n, name in enumerate("aba"):
        kept.put(name, n)
    kept.put("c", 3)
    assert [kept.get(name) for name in "abc"] == [2, None, 3]
