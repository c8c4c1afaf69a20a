from engine.proto import tokens


def kinds(text):
    return [(token.kind, token.text, token.line) for token in tokens.tokenize(text)]


def test_tokens_have_their_kind_and_line():
    assert kinds("a: 1 # no\nb { c: 'x' }") == [
        ("word", "a", 1),
        ("mark", ":", 1),
        ("number", "1", 1),
        ("word", "b", 2),
        ("mark", "{", 2),
        ("word", "c", 2),
        ("mark", ":", 2),
        ("string", "'x'", 2),
        ("mark", "}", 2),
    ]


def test_numbers_are_one_token():
    numbers = "1 -2 1. .5 -.5e-3f 1E+5 0x1F 017 -inf -nan"
    assert [(kind, text) for kind, text, _ in kinds(numbers)] == [("number", each) for each in numbers.split()]


def test_inf_without_a_sign_is_a_number_and_info_a_word():
    assert [kind for kind, _, _ in kinds("inf info")] == ["number", "word"]


def test_a_string_that_is_not_closed_ends_with_its_line():
    assert kinds('a: "x }\nb') == [("word", "a", 1), ("mark", ":", 1), ("quote", '"x }', 1), ("word", "b", 2)]


def test_braces_and_hashes_inside_strings_are_text():
    assert [kind for kind, _, _ in kinds(r'"{ # \" }"')] == ["string"]


def fields(text):
    found = tokens.tokenize(text)
    return [
        (field.name.text, [value.text for value in field.values], field.block is not None)
        for field in tokens.fields(found)
    ]


def test_fields_of_the_outermost_block_only():
    assert fields("a: 1 b { a: 2 } c: < a: 3 > d: [4, 5] e: 'x' 'y'") == [
        ("a", ["1"], False),
        ("b", [], True),
        ("c", [], True),
        ("d", ["4", "5"], False),
        ("e", ["'x'", "'y'"], False),
    ]


def test_a_fields_end_is_behind_its_last_token():
    text = "a { b: 1 } c: 'x' 'y' d: [1]"
    assert [text[: field.end][-3:] for field in tokens.fields(tokens.tokenize(text))] == ["1 }", "'y'", "[1]"]


def test_broken_text_ends_quietly():
    for text in ("a {", "a:", "a: [1,", "a", "}", "a: }", "a { b: { "):
        fields(text)
