"""Command-line templates: parsing, and substitution of a config's values for placeholders.

``python train.py --lr {learning_rate} [--momentum {momentum}] {args:argparse}``

The line is split into words as a shell would, *before* values are put in: a value is never split,
expanded or run, whatever it contains. Words in ``[...]`` are left out if a parameter in them is
inactive or null. ``{{`` and ``}}`` stand for braces, ``[[`` at the start of a word for a bracket.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.core.text import text_of
from tunesmith.run.arguments import EACH, STYLES, arguments, check_form, items_of, spelled, word_of

#: Placeholders that every command may use beside its parameters.
BUILT_IN: Final = ("trial", "attempt", "seed", "trial_dir", "checkpoint_dir", "config_file", "args")
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
#: Brackets in a shell's line that are the shell's: a test, or a pattern of file names.
_SHELLS_OWN: Final = re.compile(r"\[\[?\s|\[[^\s{}\]]*\]")
#: The end of a group in brackets in a shell's line, behind its last word.
_AFTER_GROUP: Final = frozenset(";|&)<>")


class Placeholder(NamedTuple):
    """``{name}`` or ``{name:form}``."""

    name: str
    form: str = ""

    def __str__(self) -> str:
        return f"{{{self.name}:{self.form}}}" if self.form else f"{{{self.name}}}"


@dataclass(frozen=True, slots=True)
class _Part:
    """Words (or, for a shell, a piece of its line) that go in together, or not at all."""

    words: tuple[str, ...]
    optional: bool

    def placeholders(self) -> list[Placeholder]:
        return [placeholder for word in self.words for placeholder in placeholders(word)]


@dataclass(frozen=True, slots=True)
class Template:
    """A command line, read and checked."""

    parts: tuple[_Part, ...]
    #: The line itself where it is a shell's.
    shell: str | None = None

    @classmethod
    def of(cls, command: str | Sequence[str], *, shell: bool = False) -> Template:
        """Read a command: a line, or a list of words. Raises JobError."""
        if shell:
            if not isinstance(command, str) or not command.strip():
                raise JobError("command: with shell: true it is one line of text")
            return cls(tuple(_pieces(command)), command)
        if isinstance(command, str):
            try:
                words = shlex.split(command)
            except ValueError as error:
                raise JobError(f"command: {error} in {command!r}") from None
        else:
            words = [str(word) for word in command]
        if not words:
            raise JobError("command: it is empty; write e.g. python train.py --lr {learning_rate}")
        return cls(tuple(_parts(words)))

    @property
    def program(self) -> str:
        return self.parts[0].words[0]

    def placeholders(self) -> list[Placeholder]:
        """All of them, in order. Raises JobError for a single brace."""
        return [placeholder for part in self.parts for placeholder in part.placeholders()]

    def names(self) -> set[str]:
        """Every name in a placeholder."""
        return {placeholder.name for placeholder in self.placeholders()}

    def config_forms(self) -> list[str]:
        """The forms of ``{config_file:form}``."""
        return [p.form for p in self.placeholders() if p.name == "config_file" and p.form]

    def check(self, parameters: Iterable[str], conditional: Iterable[str]) -> None:
        """Raise JobError for placeholders that no parameter fills, or not always."""
        if self.shell is not None:
            _check_shell(self.shell)
        parameters, sometimes = set(parameters), set(conditional)
        for part in self.parts:
            for word in part.words:
                for placeholder in placeholders(word):
                    self._check(placeholder, word, parameters)
                    name = placeholder.name
                    if name in sometimes and not part.optional and self.shell is None:
                        raise JobError(
                            f"command: {name} is not always active; put what depends on it in brackets: "
                            f"[--{name} {placeholder}]"
                        )

    def _check(self, placeholder: Placeholder, word: str, parameters: set[str]) -> None:
        name, form = placeholder
        known = [*sorted(parameters), *BUILT_IN]
        if name == "args":
            if self.shell is None and not _PLACEHOLDER.fullmatch(word):
                raise JobError(
                    f"command: {placeholder} is many words; it cannot be a part of {word!r}"
                )
            if form not in STYLES:
                named = [style for style in STYLES if style]
                raise JobError(
                    f"command: {placeholder} has an unknown style; there are {{args}} (--name value) and "
                    f"{', '.join(f'{{args:{style}}}' for style in named)}"
                )
        elif name not in known:
            raise JobError(
                f"command: {{{name}}} is no parameter{did_you_mean(name, known)} "
                "(write {{ and }} for braces)"
            )
        elif form and name in parameters:
            check_form(name, form)
        elif form and name != "config_file":
            raise JobError(f"command: {placeholder}: {{{name}}} has no forms")

    def fill(self, config: Mapping[str, Any], built_in: Mapping[str, Any]) -> list[str] | str:
        """The words to run (or, for a shell, its line, with every value quoted).

        `built_in` may have values for placeholders with a form, by their text. Raises ValueError for a value that
        does not have the form it is asked for.
        """
        values = _Values(self, config, built_in)
        parts = [part for part in self.parts if not part.optional or values.complete(part)]
        if self.shell is not None:
            return "".join(values.piece(part.words[0]) for part in parts)
        return [filled for part in parts for word in part.words for filled in values.words(word)]

    def shown(self, config: Mapping[str, Any], built_in: Mapping[str, Any] | None = None) -> str:
        """The filled line, to be read and copied; a placeholder stays where its value is not known."""
        own = {placeholder.name for placeholder in self.placeholders()} & set(BUILT_IN)
        unknown = {str(p): str(p) for p in self.placeholders() if p.name in own - {"args"}}
        filled = self.fill(
            config, {**{name: f"{{{name}}}" for name in own}, **unknown, **(built_in or {})}
        )
        return filled if isinstance(filled, str) else shlex.join(filled)


class _Values:
    """What stands for a template's placeholders in one trial."""

    def __init__(
        self, template: Template, config: Mapping[str, Any], built_in: Mapping[str, Any]
    ) -> None:
        self._config = config
        self._built_in = built_in
        self._elsewhere = template.names()

    def complete(self, part: _Part) -> bool:
        """Whether all that words in brackets name is there."""
        return all(
            name == "args"
            or (name in self._config and (form or self._config[name] is not None))
            or (name not in self._config and name in self._built_in)
            for name, form in part.placeholders()
        )

    def words(self, word: str) -> list[str]:
        """The words that one of a template's becomes."""
        holes = placeholders(word)
        for placeholder in holes:
            if placeholder.name == "args":  # a word of its own: see `Template.check`
                return self._arguments(placeholder.form)
            if placeholder.form == EACH:
                items = items_of(self._value(placeholder))
                return [self._filled(word, {placeholder: item}) for item in items]
        filled = self._filled(word, {})
        return [] if not filled and holes and "|" in holes[0].form else [filled]

    def _filled(self, word: str, items: Mapping[Placeholder, str]) -> str:
        def put(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            placeholder = _placeholder(match)
            if placeholder in items:
                return items[placeholder]
            return self._text(placeholder, first=match.start() == 0)

        return _PLACEHOLDER.sub(put, word)

    def piece(self, text: str) -> str:
        """A piece of a shell's line, values quoted."""

        def put(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            placeholder = _placeholder(match)
            first = match.start() == 0 or text[match.start() - 1].isspace()
            alone = first and (match.end() == len(text) or text[match.end()].isspace())
            if placeholder.name == "args":
                return shlex.join(self._arguments(placeholder.form))
            if placeholder.name not in self._config and placeholder.name not in self._built_in:
                return "''"
            if placeholder.form == EACH:
                return shlex.join(items_of(self._value(placeholder)))
            value = self._text(placeholder, first=first)
            return "" if alone and not value and "|" in placeholder.form else shlex.quote(value)

        return _PLACEHOLDER.sub(put, text)

    def _arguments(self, style: str) -> list[str]:
        """With a style, those that the command does not name elsewhere."""
        if not style:
            return arguments(self._config)
        rest = {n: v for n, v in self._config.items() if n not in self._elsewhere}
        return arguments(rest, style)

    def _text(self, placeholder: Placeholder, *, first: bool) -> str:
        value = self._value(placeholder)
        if placeholder.form and placeholder.name in self._config:
            return spelled(value, placeholder.form)
        return word_of(value) if first else text_of(value)

    def _value(self, placeholder: Placeholder) -> Any:
        name, form = placeholder
        if name in self._config:
            return self._config[name]
        return self._built_in[str(placeholder) if form else name]


def placeholders(word: str) -> list[Placeholder]:
    """Those of a word, in order. Raises JobError for a single brace."""
    holes = []
    for match in _PLACEHOLDER.finditer(word):
        if match[0] in ("{", "}"):
            raise JobError(f"command: a single {match[0]!r} in {word!r}; write {match[0] * 2!r}")
        if match[1] is not None:
            holes.append(_placeholder(match))
    return holes


def _placeholder(match: re.Match[str]) -> Placeholder:
    name, _, form = match[1].partition(":")
    return Placeholder(name, form)


def _parts(words: Sequence[str]) -> Iterator[_Part]:
    """Words one by one, and groups in brackets that have a placeholder in them."""
    i = 0
    while i < len(words):
        word = words[i]
        if word.startswith("[["):
            yield _Part((word[1:],), optional=False)
        elif word.startswith("["):
            end = next((j for j in range(i, len(words)) if words[j].endswith("]")), None)
            group = words[i : len(words) if end is None else end + 1]
            if not any(map(placeholders, group)):
                yield _Part((word,), optional=False)  # brackets of the program's own
            elif end is None:
                raise JobError(f"command: the bracket before {word[1:]!r} is never closed")
            else:
                inner = list(group)
                inner[0] = inner[0][1:]
                inner[-1] = inner[-1][:-1]
                _refuse_nested(inner)
                yield _Part(tuple(w for w in inner if w), optional=True)
                i = end
        else:
            _refuse_unopened(word)
            yield _Part((word,), optional=False)
        i += 1


def _refuse_nested(group: Sequence[str]) -> None:
    """Raise JobError for brackets in brackets: the inner ones would reach the program."""
    for word in group:
        if word.startswith("[") and not word.startswith("[[") and not word.endswith("]"):
            raise JobError(
                f"command: the brackets before {word[1:]!r} are inside others; write them one after the other: "
                "[--a {a}] [--b {b}]"
            )


def _refuse_unopened(word: str) -> None:
    """Raise JobError for the end of a group that has no beginning."""
    if word.endswith("]") and word.count("[") < word.count("]") and _PLACEHOLDER.search(word):
        raise JobError(
            f"command: the bracket behind {word[:-1]!r} is never opened: a group begins with [ before the first of "
            "its words and ends with the first word that has ] at its end"
        )


def _pieces(line: str) -> Iterator[_Part]:
    """The pieces of a shell's line: groups in brackets with a placeholder in them, and what is between.

    A group begins with ``[`` before a word (the shell's own test, ``[ -f x ]``, has a blank behind it) and ends
    with ``]`` behind one.
    """
    begin = 0
    for i, quoted in _outside_quotes(line):
        if i < begin or quoted or line[i] != "[" or not _begins_word(line, i):
            continue
        if _SHELLS_OWN.match(line, i):
            continue
        end = _group_end(line, i)
        inner = line[i + 1 : len(line) if end is None else end]
        if not any(m[1] is not None for m in _PLACEHOLDER.finditer(inner)):
            continue
        if inner.startswith("["):  # a doubled bracket is a bracket
            yield _Part((line[begin:i],), optional=False)
            begin = i + 1
            continue
        if end is None:
            word = inner.split()[0]
            raise JobError(f"command: the bracket before {word!r} is never closed")
        if any(_begins_word(inner, k) and c == "[" for k, c in enumerate(inner) if k):
            raise JobError(
                f"command: there are brackets inside [{inner}]; write them one after the other: [--a {{a}}] [--b {{b}}]"
            )
        yield _Part((line[begin:i],), optional=False)
        yield _Part((inner,), optional=True)
        begin = end + 1
    yield _Part((line[begin:],), optional=False)


def _begins_word(line: str, i: int) -> bool:
    return i == 0 or line[i - 1].isspace() or line[i - 1] in ";|&("


def _group_end(line: str, begin: int) -> int | None:
    """Where the group that begins at `begin` is closed."""
    for i, quoted in _outside_quotes(line):
        if i > begin and not quoted and line[i] == "]":
            after = line[i + 1 : i + 2]
            if not after or after.isspace() or after in _AFTER_GROUP:
                return i
    return None


def _outside_quotes(line: str) -> Iterator[tuple[int, bool]]:
    """Each character's place, and whether it is quoted, or is a quote."""
    quote, escaped = "", False
    for i, character in enumerate(line):
        if escaped:
            escaped = False
            yield i, True
        elif character == "\\" and quote != "'":
            escaped = True
            yield i, True
        elif quote:
            yield i, True
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
            yield i, True
        else:
            yield i, False


def _check_shell(line: str) -> None:
    """Raise JobError where a quoted value could still be run: inside quotes, <<, `...`, $((...))."""
    quote, i = "", 0
    places = {m.start(): m for m in _PLACEHOLDER.finditer(line) if m[1] is not None}
    if places and (construct := re.search(r"(?<!<)<<(?!<)|\$\(\(", line)):
        raise JobError(
            f"command: with shell: true a line with {construct[0]} cannot take {next(iter(places.values()))[0]}"
            " (the value might be run); hand it over as an argument or in the environment"
        )
    while i < len(line):
        if i in places and quote:
            raise JobError(
                f"command: {places[i][0]} stands inside {quote}...{quote}; values are quoted already, so "
                f"close the quotes before it: {quote}...{quote}{places[i][0]}"
            )
        if i in places:
            _check_alone(line, places[i])
            i = places[i].end()
            continue
        if line[i] == "\\" and quote != "'":
            i += 1
        elif line[i] == quote:
            quote = ""
        elif line[i] in "'\"`" and not quote:
            quote = line[i]
        i += 1


def _check_alone(line: str, match: re.Match[str]) -> None:
    """Raise JobError for a placeholder of many words that is a part of one."""
    placeholder = _placeholder(match)
    if placeholder.form != EACH and placeholder.name != "args":
        return
    before, after = line[: match.start()][-1:], line[match.end() :][:1]
    if (before and not before.isspace() and before != "[") or (
        after and not after.isspace() and after != "]" and after not in _AFTER_GROUP
    ):
        raise JobError(
            f"command: with shell: true {placeholder} is many words, and cannot be a part of one; put blanks "
            "around it"
        )
