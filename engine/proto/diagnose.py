"""Finds out what is wrong with a prototxt that does not parse, in words for the person who wrote it."""

from functools import cached_property
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from engine.proto import fork_fields, tokens, wording
from engine.proto.tokens import Token


class Problem(Exception):
    """A mistake in the text, and its line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Open(NamedTuple):
    """A block that is not closed yet: its field's name, its message type, and the token that opens it."""

    name: str
    holds: Descriptor
    opener: Token | None


MOST = 100
"""How many unknown fields are reported at most."""


class Diagnosis(NamedTuple):
    """The mistakes in a text, and the text, on the same lines, without the fields that contain them.

    The mistakes are all unknown fields and V1 types of forks, each once per type of block; or if there are none of
    these, the first other mistake.
    """

    problems: list[Problem]
    rest: str


def find(text: str, message_class: type[Message]) -> Diagnosis:
    """The mistakes in `text`, read as a `message_class`. There may be none that can be found."""
    walk = _Walk(text, message_class)
    try:
        walk.fields()
    except Problem as problem:
        return Diagnosis(list(walk.unknown.values()) or [problem], walk.rest())
    return Diagnosis(list(walk.unknown.values()), walk.rest())


class _Walk:
    """One pass over the tokens, in the way of the parser. Raises Problem for a mistake that it cannot go past."""

    def __init__(self, text: str, message_class: type[Message]) -> None:
        self.text = text
        self.tokens = tokens.tokenize(text)
        self.at = 0
        self.open = [_Open("", message_class.DESCRIPTOR, None)]  # type: ignore[arg-type]
        self.unknown: dict[tuple[str, str], Problem] = {}
        self.skipped: list[tuple[Token, Token]] = []
        """The first and the last token of each field with a mistake that the walk has gone past."""

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *texts: str) -> bool:
        token = self.peek()
        if token is None or token.text not in texts:
            return False
        self.at += 1
        return True

    def fields(self) -> None:
        """Walks the fields of the innermost open block, up to and including what closes it."""
        opener = self.open[-1].opener
        seen: set[str] = set()
        while (token := self.peek()) is not None:
            if opener and token.text in ("}", ">"):
                if token.text != tokens.OPENERS[opener.text]:
                    raise Problem(
                        token.line, f'"{token.text}" cannot close what "{opener.text}" opened in line {opener.line}.'
                    )
                self.at += 1
                return
            self.field(seen)
            if not self.take(","):
                self.take(";")
        if opener:
            raise self.unclosed()

    def field(self, seen: set[str]) -> None:
        block = self.open[-1]
        name = self.tokens[self.at]
        self.at += 1
        if name.kind != "word":
            raise Problem(name.line, wording.stray(name))
        field = block.holds.fields_by_name.get(name.text)
        repeated = field is not None and not field.is_repeated and field.name in seen
        if (repeated or (field is None and any(name.text in outer.holds.fields_by_name for outer in self.open))) and (
            block.opener and self.closers_missing
        ):
            raise self.unclosed()
        if field is None:
            place = block.holds.full_name, name.text
            known = self.unknown.get(place)  # finding words takes milliseconds, and every layer may have it
            problem = known or Problem(name.line, wording.unknown_field(name.text, block.holds, block.name))
            if len(self.open) == 1 and fork_fields.owner(block.holds.name, name.text) is None:
                raise problem  # probably the wrong file: every field of it would be reported
            self.keep(problem, place)
            self.skip(problem)
            self.skipped.append((name, self.tokens[self.at - 1]))
            return
        if repeated:
            where = f" in this {block.name} block" if block.name else ""
            raise Problem(name.line, f'"{field.name}" is given a second time{where}, and takes one value.')
        seen.add(field.name)
        if field.message_type is None:
            self.scalars(name, field)
        else:
            self.message(name, field, field.message_type)

    def keep(self, problem: Problem, where: tuple[str, str]) -> None:
        """Notes a problem that the walk can go past. Raises it if there are too many."""
        self.unknown.setdefault(where, problem)
        if len(self.unknown) >= MOST:
            raise problem

    def skip(self, problem: Problem) -> None:
        """Goes past the value of an unknown field. Raises the problem if the value does not end."""
        self.take(":")
        deep = 0
        while (token := self.peek()) is not None:
            self.at += 1
            deep += (token.text in tokens.OPENERS or token.text == "[") - (token.text in ("}", ">", "]"))
            following = self.peek()
            if not deep and not (token.kind == "string" and following is not None and following.kind == "string"):
                return
        raise problem

    def message(self, name: Token, field: FieldDescriptor, holds: Descriptor) -> None:
        self.take(":")
        listed = field.is_repeated and self.take("[")
        if listed and self.take("]"):
            return
        while True:
            opener = self.peek()
            if opener is None or opener.text not in tokens.OPENERS:
                raise Problem(name.line, f'"{name.text}" is a block and needs braces: {name.text} {{ … }}.')
            self.at += 1
            self.open.append(_Open(name.text, holds, opener))
            self.fields()
            self.open.pop()
            if not listed or self.take("]"):
                return
            self.comma(name)

    def scalars(self, name: Token, field: FieldDescriptor) -> None:
        if not self.take(":"):
            token = self.peek()
            instead = f', and "{token.text}" was found' if token else ""
            example = wording.example(field)
            raise Problem(name.line, f'"{name.text}" needs a colon and a value, {name.text}: {example}{instead}.')
        if not (field.is_repeated and self.take("[")):
            self.scalar(name, field)
            return
        if self.take("]"):
            return
        self.scalar(name, field)
        while not self.take("]"):
            self.comma(name)
            self.scalar(name, field)

    def scalar(self, name: Token, field: FieldDescriptor) -> None:
        value = self.peek()
        if value is None or value.text in ("}", ">", "]", ",", ";"):
            raise Problem(name.line, f'"{name.text}" has no value. Write {name.text}: {wording.example(field)}.')
        self.at += 1
        complaint = wording.wrong_value(name.text, field, value)
        if complaint:
            problem = Problem(value.line, complaint)
            if not wording.of_fork(value):
                raise problem
            self.keep(problem, (field.full_name, value.text))
            self.skipped.append((name, value))
        while value.kind == "string" and (following := self.peek()) is not None and following.kind == "string":
            self.at += 1

    def rest(self) -> str:
        """The text without what was skipped, on the same lines."""
        parts, end = [], 0
        for first, last in self.skipped:
            parts += [self.text[end : first.start], "\n" * (last.line - first.line)]
            end = last.end
        return "".join([*parts, self.text[end:]])

    def comma(self, name: Token) -> None:
        if not self.take(","):
            raise Problem(name.line, f'the list of "{name.text}" is not closed. Write {name.text}: [ …, … ].')

    @cached_property
    def closers_missing(self) -> bool:
        """Whether more blocks are opened than closed. Asked for every field that may be meant for an outer block."""
        marks = [token.text for token in self.tokens if token.kind == "mark"]
        return sum(mark in "{<" for mark in marks) > sum(mark in "}>" for mark in marks)

    def unclosed(self) -> Problem:
        innermost = self.open[-1]
        name, opener = self.dedented() or (innermost.name, innermost.opener)
        assert opener is not None
        return Problem(
            opener.line, f'the "{name}" block that "{opener.text}" opens here is not closed: a "}}" is missing.'
        )

    def dedented(self) -> tuple[str, Token] | None:
        """The first block whose closing brace is further left than the line that opens it: in an indented file, that
        brace was meant for an outer block."""
        stack: list[tuple[str, Token]] = []
        for i, token in enumerate(self.tokens):
            if token.text in tokens.OPENERS:
                before = [each.text for each in self.tokens[max(0, i - 2) : i] if each.kind == "word"]
                stack.append((before[-1] if before else "", token))
            elif token.text in ("}", ">") and stack:
                name, opener = stack.pop()
                if token.line > opener.line and self.first_in_line(token) and self.column(token) < self.indent(opener):
                    return name, opener
        return None

    def first_in_line(self, token: Token) -> bool:
        return not self.text[self.line_start(token) : token.start].strip()

    def column(self, token: Token) -> int:
        return token.start - self.line_start(token)

    def indent(self, token: Token) -> int:
        line = self.text[self.line_start(token) : token.start]
        return len(line) - len(line.lstrip())

    def line_start(self, token: Token) -> int:
        return self.text.rfind("\n", 0, token.start) + 1
