from engine.tools import progress


def test_there_is_no_bar_where_there_is_no_terminal(capsys):
    assert list(progress.shown(range(5), 5)) == list(range(5))
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_terminals_counts_what_was_done_before(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal then
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    list(progress.shown(range(3, 5), 5, begun=3))
    assert "5/5" in capsys.readouterr().err
