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


def test_what_begins_as_the_word_does_comes_first():
    assert suggest.closest("Nest", KNOWN) == ["Nesterov"]
    assert suggest.closest("ADAG", KNOWN, ignore_case=True) == ["AdaGrad"]


def test_the_files_beside_one_that_is_not_there(tmp_path):
    for name in ("a.caffemodel", "b.caffemodel.h5", "lenet_iter_500.caffemodel", "net.prototxt"):
        (tmp_path / name).touch()
    near = suggest.beside(tmp_path / "lenet_iter_50.caffemodel", "*.caffemodel*")
    assert near.startswith(f" In {tmp_path}: lenet_iter_500.caffemodel")
    assert suggest.beside(tmp_path / "0", "*.caffemodel*").endswith(
        ": a.caffemodel, b.caffemodel.h5, lenet_iter_500.caffemodel."
    )
    assert suggest.beside(tmp_path / "away" / "0", "*") == f" Nor is there a folder {tmp_path / 'away'}."
