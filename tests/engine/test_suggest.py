"""The nearest names, and the question that they make."""

from engine import suggest

KNOWN = ("SGD", "Nesterov", "AdaGrad", "AdaDelta", "Adam")


def test_the_closest_come_first_and_are_at_most_n():
    assert suggest.closest("Adm", KNOWN) == ["Adam"]
    assert suggest.closest("AdaGrd", KNOWN, 2) == ["AdaGrad", "Adam"]
    assert suggest.closest("pooling", KNOWN, 3) == []


def test_case_counts_unless_told_otherwise():
    assert suggest.closest("nesterov", KNOWN, cutoff=0.9) == []
    assert suggest.closest("nesterov", KNOWN, cutoff=0.9, ignore_case=True) == ["Nesterov"]


def test_the_question_stands_behind_a_sentence_or_is_nothing():
    assert f"no such rule.{suggest.did_you_mean('Adm', KNOWN)}" == 'no such rule. Did you mean "Adam"?'
    assert suggest.did_you_mean("Adm", KNOWN, repr) == " Did you mean 'Adam'?"
    assert suggest.did_you_mean("sgd", KNOWN, ignore_case=True) == ' Did you mean "SGD"?'
    assert suggest.did_you_mean("pooling", KNOWN) == ""
