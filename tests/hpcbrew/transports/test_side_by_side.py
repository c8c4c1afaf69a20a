import threading
import time

import pytest

from hpcbrew.transports import side_by_side


def test_tasks_run_at_once_and_a_failure_is_one_outcome_among_others():
    both = threading.Barrier(2, timeout=10)

    def fails():
        both.wait()
        raise ValueError("no")

    first, second = side_by_side.run([lambda: both.wait() * 0, fails])
    assert first.get() == 0
    with pytest.raises(ValueError, match="no"):
        second.get()


def test_questions_are_put_one_after_the_other_by_the_thread_that_waits():
    asked, main = [], threading.get_ident()

    def question(name):
        asked.append((name, "begun", threading.get_ident() == main))
        time.sleep(0.05)
        asked.append((name, "answered", threading.get_ident() == main))
        return name

    def task(name):
        """From a thread that nobody here knows, as paramiko's."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(side_by_side.ask(lambda: question(name))))
        thread.start()
        thread.join()
        return answers

    answers = [outcome.get() for outcome in side_by_side.run([lambda: task("a"), lambda: task("b")])]
    assert answers == [["a"], ["b"]]
    assert all(here for *_, here in asked)
    assert [step for _, step, _ in asked] == ["begun", "answered"] * 2


def test_where_nobody_waits_it_is_asked_and_told_at_once():
    said = []
    assert side_by_side.ask(threading.get_ident) == threading.get_ident()
    side_by_side.tell(lambda: said.append(threading.get_ident()))
    assert said == [threading.get_ident()]


def test_what_a_question_raises_is_raised_where_it_was_asked():
    def question():
        raise LookupError("nobody")

    def task():
        with pytest.raises(LookupError, match="nobody"):
            side_by_side.ask(question)
        return "went on"

    assert [outcome.get() for outcome in side_by_side.run([task, task])] == ["went on"] * 2


def test_ctrl_c_leaves_them_to_themselves():
    def interrupts():
        def raise_it():
            raise KeyboardInterrupt

        side_by_side.tell(raise_it)
        time.sleep(30)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        side_by_side.run([interrupts, interrupts])
    assert time.monotonic() - started < 5
    assert side_by_side.ask(lambda: 1) == 1
