"""Command-line templates: parsing, and substitution of a config's values for placeholders.

``python train.py --lr {learning_rate} [--momentum {momentum}]``

The line is split into words as a shell would, *before* values are put in: a value is never split,
expanded or run, whatever it contains. Words in ``[...]`` are left out if a parameter in them is
inactive. ``{{`` and ``}}`` stand for braces, ``[[`` at the start of a word for a bracket.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.core.text import arguments, text_of

#: Placeholders that every command may use beside its parameters.
BUILT_IN: Final = ("trial", "attempt", "seed", "trial_dir", "checkpoint_dir", "config_file", "args")
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class _Part:
    """Words that go in together, or not at all."""

    words: tuple[str, ...]
    optional: bool


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
            return cls((_Part((command,), optional=False),), command)
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

    def names(self) -> set[str]:
        """Every placeholder in it."""
        return {name for part in self.parts for word in part.words for name in _names(word)}

    def check(self, parameters: Iterable[str], conditional: Iterable[str]) -> None:
        """Raise JobError for placeholders that no parameter fills, or not always."""
        if self.shell is not None:
            _check_shell(self.shell)
        known = [*parameters, *BUILT_IN]
        sometimes = set(conditional)
        for part in self.parts:
            named = [(word, name) for word in part.words for name in _names(word)]
            for word, name in named:
                if name == "args" and word != "{args}" and self.shell is None:
                    raise JobError(
                        f"command: {{args}} is many words; it cannot be a part of {word!r}"
                    )
                if name not in known:
                    raise JobError(
                        f"command: {{{name}}} is no parameter{did_you_mean(name, known)} "
                        "(write {{ and }} for braces)"
                    )
                if name in sometimes and not part.optional and self.shell is None:
                    raise JobError(
                        f"command: {name} is not always active; put what depends on it in brackets: "
                        f"[--{name} {{{name}}}]"
                    )

    def fill(self, config: Mapping[str, Any], built_in: Mapping[str, Any]) -> list[str] | str:
        """The words to run (or, for a shell, its line, with every value quoted)."""
        values = {**built_in, **config}
        if self.shell is not None:
            values["args"] = shlex.join(arguments(config))
            return _PLACEHOLDER.sub(lambda m: _quoted(m, values), self.shell)
        words: list[str] = []
        for part in self.parts:
            names = {name for word in part.words for name in _names(word)}
            if part.optional and any(name not in values and name != "args" for name in names):
                continue
            for word in part.words:
                if word == "{args}":
                    words += arguments(config)
                else:
                    words.append(_PLACEHOLDER.sub(lambda m: _plain(m, values), word))
        return words


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
            if not any(map(_names, group)):
                yield _Part((word,), optional=False)  # brackets of the program's own
            elif end is None:
                raise JobError(f"command: the bracket before {word[1:]!r} is never closed")
            else:
                inner = list(group)
                inner[0] = inner[0][1:]
                inner[-1] = inner[-1][:-1]
                yield _Part(tuple(w for w in inner if w), optional=True)
                i = end
        else:
            yield _Part((word,), optional=False)
        i += 1


def _names(word: str) -> list[str]:
    names = []
    for match in _PLACEHOLDER.finditer(word):
        if match[0] in ("{", "}"):
            raise JobError(f"command: a single {match[0]!r} in {word!r}; write {match[0] * 2!r}")
        if match[0] not in ("{{", "}}"):
            names.append(match[1])
    return names


def _plain(match: re.Match[str], values: Mapping[str, Any]) -> str:
    if match[0] in ("{{", "}}"):
        return match[0][0]
    return text_of(values[match[1]])


def _check_shell(line: str) -> None:
    """Raise JobError where a quoted value could still be run: inside quotes, <<, `...`, $((...))."""
    quote, i = "", 0
    places = {m.start(): m[0] for m in _PLACEHOLDER.finditer(line) if m[1] is not None}
    if places and (construct := re.search(r"(?<!<)<<(?!<)|\$\(\(", line)):
        raise JobError(
            f"command: with shell: true a line with {construct[0]} cannot take {next(iter(places.values()))}"
            " (the value might be run); hand it over as an argument or in the environment"
        )
    while i < len(line):
        if i in places and quote:
            raise JobError(
                f"command: {places[i]} stands inside {quote}...{quote}; values are quoted already, so "
                f"close the quotes before it: {quote}...{quote}{places[i]}"
            )
        if line[i] == "\\" and quote != "'":
            i += 1
        elif line[i] == quote:
            quote = ""
        elif line[i] in "'\"`" and not quote:
            quote = line[i]
        i += 1


def _quoted(match: re.Match[str], values: Mapping[str, Any]) -> str:
    if match[0] in ("{{", "}}"):
        return match[0][0]
    if match[1] == "args":
        return str(values["args"])
    return shlex.quote(text_of(values[match[1]])) if match[1] in values else "''"
