"""Usage of a space by a command: mistakes that can only be seen from both, before anything is run."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError
from tunesmith.core.space.parameter import Choice, Fixed, Parameter
from tunesmith.core.space.space import Space
from tunesmith.core.text import text_of
from tunesmith.run.config_file import config_files
from tunesmith.run.program import BUILT_IN_VARIABLES, Program, variable_of
from tunesmith.run.template import BUILT_IN, Template
from tunesmith.run.withheld import check_withheld

#: What a shell, or the command, would put in.
_EXPANDED: Final = re.compile(rf"\$\w+|\$\{{\w+\}}|\{{(?:{'|'.join(BUILT_IN)})\}}")
#: Larger files are not looked into (bytes).
_LARGEST: Final = 1 << 20
#: Words that are hardly meant for a program: pipes, redirections, variables, home folders.
_SHELL_WORD: Final = re.compile(
    r"\|\|?|&&?|;|\d?>{1,2}(?:&\d|[\w./~]\S*)?|<|\$\{?[A-Z_][A-Z_\d]*\}?(?:/\S*)?|~/\S*"
)


def check_usage(program: Program, space: Space) -> None:
    """Raise JobError where values could not reach the program, or would get lost on their way."""
    template = program.template
    for name, form in template.placeholders():
        if "|" in form and name in space and not _truth(space[name]):
            raise JobError(
                f"command: {{{name}:{form}}} is for true and false, and {name} is something else; write {{{name}}}"
            )
    names = list(space)
    elsewhere = set(names) if "args" in template.names() else template.names()
    files = config_files(template.config_forms(), program.cwd)
    for file in files:
        file.check(names)
    lacking = [file.lacks([n for n in names if n not in elsewhere]) for file in files]
    for name in lacking[0] if lacking else ():
        if all(name in lacks for lacks in lacking):
            templates = " nor ".join(file.form for file in files)
            raise JobError(
                f"command: {'neither ' * (len(files) > 1)}{templates} has {'no ' * (len(files) == 1)}{name}"
                f"{lacking[0][name]}; write it there, with any value, or name it in the command"
            )


def check_environment(space: Space, environment: Mapping[str, str]) -> None:
    """Raise JobError for two values that would share an environment variable, and for a secret."""
    check_withheld(environment)
    variables: dict[str, str] = {}
    for name in space:
        variable = variable_of(name)
        other = variables.setdefault(variable, name)
        if other != name:
            raise JobError(
                f"{other} and {name} would both be ${variable} in the program's environment, and one of them would "
                "be lost; rename one"
            )
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise JobError(
                f"environment: {name!r} cannot be a variable: its name is not empty and has no =, and neither it nor its "
                "value has a NUL character"
            )
        if name in variables:
            raise JobError(
                f"environment: {name} has the value of the parameter {variables[name]}; leave it out, or rename one "
                "of the two"
            )
        if name in BUILT_IN_VARIABLES:
            raise JobError(f"environment: {name} is set for each trial by tunesmith; leave it out")


def unused(program: Program, space: Space) -> list[str]:
    """The parameters that reach the program by nothing that its command, or a file that it names, speaks of."""
    template = program.template
    used = template.names()
    if "args" in used or any(
        p.name == "config_file" and not p.form for p in template.placeholders()
    ):
        return []
    files = config_files(template.config_forms(), program.cwd)
    parents = {p for name in space if (c := space.condition(name)) is not None for p in c.parents}
    names = [
        name
        for name in space.tunables
        if name not in used | parents and all(name in file.lacks([name]) for file in files)
    ]
    if any(file.template is None for file in files) or not names:
        return []
    texts = list(_texts(program))
    if any("TUNESMITH_CONFIG" in text or "TUNESMITH_PARAM" in text for text in texts):
        return []
    return names


def warnings(program: Program, space: Space) -> Iterator[str]:
    """What is to be said of them before anything is run."""
    if names := unused(program, space):
        yield _unused_text(names)
    yield from _notes(program.template, space)
    if isinstance(program.command, str) and not program.shell:
        yield from _shell_words(program.template)
    if [p.name for p in program.template.placeholders()].count("args") > 1 and not program.shell:
        yield "{args} is in the command twice, and the program gets every parameter twice"
    for name, value in program.environment.items():
        literal = _EXPANDED.search(value)
        if literal is not None:
            yield (
                f"environment: {name} has {literal[0]}, which the program gets as it stands: nothing is put in there; write "
                "the value out, or set it in the command, with shell: true"
            )


def _shell_words(template: Template) -> Iterator[str]:
    """What a shell would read in another way, where there is none."""
    words = [word for part in template.parts for word in part.words]
    for word in words[1:]:
        if _SHELL_WORD.fullmatch(word):
            yield f"{word!r} reaches the program as it stands, for no shell reads the command; if one should, write shell: true"
            return


def _unused_text(names: Sequence[str]) -> str:
    one = len(names) == 1
    listed = ", ".join(names)
    return (
        f"{listed} {'is' if one else 'are'} not in the command; the program has to read {'it' if one else 'them'} from "
        f"{f'${variable_of(names[0])}' if one else '$TUNESMITH_PARAM_<NAME>'} or $TUNESMITH_CONFIG, or it makes no "
        "difference"
    )


def _notes(template: Template, space: Space) -> Iterator[str]:
    """What reaches the program in a way that it may not expect, and how to spell it instead."""
    bracketed = {p.name for part in template.parts if part.optional for p in part.placeholders()}
    plain = {name for name, form in template.placeholders() if not form} & set(space)
    everything = any(p.name == "args" and not p.form for p in template.placeholders())
    dotted = [name for name in space if "." in name]
    if dotted and any(p == ("config_file", "") for p in template.placeholders()):
        yield (
            f"{{config_file}} is JSON with {dotted[0]} as one flat name; {{config_file:yaml}}, :json, :toml or the path "
            "of a template such as {config_file:base.yaml} nests it"
        )
    for name, parameter in space.parameters.items():
        values = values_of(parameter)
        if name in plain:
            if None in values and name not in bracketed:
                yield (
                    f"{name} may be null, and the program gets the word null for it; in brackets, [--{name} {{{name}}}], "
                    "it is left out then"
                )
            if any(isinstance(value, bool) for value in values):
                yield (
                    f"{name} reaches the program as the word true or false; {{{name}:True|False}} spells it as Python "
                    f"does, {{{name}:--{name}|}} is --{name} or nothing"
                )
            if any(isinstance(value, list) for value in values):
                example = next(value for value in values if isinstance(value, list))
                yield (
                    f"{name} reaches the program as JSON in one word ({text_of(example)}); {{{name}:each}} is a word "
                    f"for each item, {{{name}:,}} joins them"
                )
            dashed = [v for v in values if isinstance(v, str) and v.startswith("-")]
            if dashed and _follows_option(template, name):
                yield (
                    f"{name} may be {dashed[0]!r}, which most programs take for an option; write --{name}={{{name}}}"
                )
        elif everything and any(isinstance(value, (bool, list)) for value in values):
            spelled = text_of(next(value for value in values if isinstance(value, (bool, list))))
            yield (
                f"{name} reaches the program as --{name} {spelled}; {{args:argparse}} or {{args:click}} has flags "
                "and lists as those libraries read them"
            )


def values_of(parameter: Parameter) -> Sequence[Any]:
    """The values of a parameter that has some by name."""
    match parameter:
        case Choice():
            return parameter.values
        case Fixed():
            return (parameter.constant,)
    return ()


def _truth(parameter: Parameter) -> bool:
    values = values_of(parameter)
    return bool(values) and all(value in (True, False, None) for value in values)


def _follows_option(template: Template, name: str) -> bool:
    """Whether the value is a word of its own behind one such as ``--name``."""
    words = [word for part in template.parts for word in part.words]
    return any(
        word == f"{{{name}}}" and before.startswith("-")
        for before, word in itertools.pairwise(words)
    )


def _texts(program: Program) -> Iterator[str]:
    """The command, and what stands in the files that it names."""
    command = program.command
    words = [command] if isinstance(command, str) else [str(word) for word in command]
    yield from words
    yield from program.environment.values()
    for word in {
        part for text in words for part in text.replace("'", " ").replace('"', " ").split()
    }:
        path = program.cwd / word
        try:
            named = os.sep in word or "." in word
            if named and path.is_file() and path.stat().st_size <= _LARGEST:
                yield Path(path).read_text(errors="replace")
        except (OSError, ValueError):
            continue
