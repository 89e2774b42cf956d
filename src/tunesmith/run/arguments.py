"""Values as words of a command line: what ``{name}``, ``{name:form}`` and ``{args:style}`` stand for.

A value is text as it is, and everything else as JSON; a *form* spells one value in another way, a *style*
all of a config's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from tunesmith.core.errors import JobError
from tunesmith.core.text import text_of

#: The form of a list: its word once for every item.
EACH: Final = "each"
#: What may stand between the items of a list.
_SEPARATOR: Final = re.compile(r"[^\w\s|{}]+|[_x]")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
#: What Hydra's grammar takes for something else than a text.
_HYDRA_WORDS: Final = frozenset({"true", "false", "null", "nan", "inf"})


def word_of(value: Any) -> str:
    """A value as a word of its own: a negative number without exponent, which option parsers
    (argparse before Python 3.14) take for an option's name."""
    text = text_of(value)
    if isinstance(value, float) and text.startswith("-") and "e" in text:
        text = format(Decimal(text), "f")
        return text if "." in text else f"{text}.0"
    return text


def items_of(value: Any) -> list[str]:
    """The items of a list as words; a single value is a list of one, null of none."""
    if value is None:
        return []
    return (
        [word_of(item) for item in value] if isinstance(value, (list, tuple)) else [word_of(value)]
    )


def check_form(name: str, form: str) -> None:
    """Raise JobError for a form that there is not."""
    if form != EACH and form != "hydra" and form.count("|") != 1 and not _SEPARATOR.fullmatch(form):
        raise JobError(
            f"command: {{{name}:{form}}} has an unknown form; there are {{{name}:each}} (a list as several words), "
            f"{{{name}:,}} (joined by a comma), {{{name}:yes|no}} (what stands for true and for false; "
            f"{{{name}:--{name}|}} is a flag or nothing) and {{{name}:hydra}}"
        )


def spelled(value: Any, form: str) -> str:
    """A value in a form other than `EACH`. Raises ValueError for a value that does not have it."""
    if form == "hydra":
        return hydra_of(value)
    if "|" in form:
        if value not in (True, False, None):
            raise ValueError(f"{value!r} is neither true nor false, as {form!r} needs it")
        return form.partition("|")[0 if value else 2]
    return form.join(items_of(value))


def arguments(config: Mapping[str, Any], style: str = "") -> list[str]:
    """The words for every active parameter, in order: what ``{args}`` (no style) and ``{args:style}`` stand for.

    A parameter that is null is left out, but by Hydra, which has a word for it.
    """
    write = STYLES[style]
    return [word for name, value in config.items() for word in write(name, value)]


def _plain(name: str, value: Any) -> Iterator[str]:
    """``--name value``."""
    if value is not None:
        yield from (f"--{name}", word_of(value))


def _argparse(name: str, value: Any) -> Iterator[str]:
    """``--name value``, ``--name`` or nothing, ``--name a b c``."""
    match value:
        case None | False:
            return
        case True:
            yield f"--{name}"
        case list() | tuple():
            yield from (f"--{name}", *items_of(value))
        case str() if value.startswith("-"):  # as a word of its own it would be an option
            yield f"--{name}={value}"
        case _:
            yield from (f"--{name}", word_of(value))


def _click(name: str, value: Any) -> Iterator[str]:
    """``--name=value``, ``--name`` or ``--no-name``, ``--name=a --name=b``; with dashes for underscores."""
    name = dashed(name)
    match value:
        case None:
            return
        case bool():
            yield f"--{name}" if value else f"--no-{name}"
        case list() | tuple():
            yield from (f"--{name}={text_of(item)}" for item in value)
        case _:
            yield f"--{name}={text_of(value)}"


def _hydra(name: str, value: Any) -> Iterator[str]:
    """``name=value``, as in Hydra's override grammar."""
    yield f"{name}={hydra_of(value)}"


#: The styles of ``{args:style}`` by name; "" is that of ``{args}``.
STYLES: Final[Mapping[str, Callable[[str, Any], Iterator[str]]]] = {
    "": _plain,
    "argparse": _argparse,
    "click": _click,
    "hydra": _hydra,
}


def dashed(name: str) -> str:
    """A parameter's name as click makes an option of it."""
    return name.replace("_", "-")


def hydra_of(value: Any) -> str:
    """A value in Hydra's override grammar (hydra.cc, "Basic Override syntax"): texts that it would read as
    something else are in quotes."""
    if isinstance(value, str):
        plain = _IDENTIFIER.fullmatch(value) and value.lower() not in _HYDRA_WORDS
        return value if plain else _hydra_quoted(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(hydra_of, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{hydra_of(item)}' for key, item in value.items())}}}"
    return text_of(value)


def _hydra_quoted(text: str) -> str:
    """Backslashes count only before a quote (the closing one too), and are doubled there. ``${...}`` stays an
    interpolation, as in Hydra's own files."""
    text = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"'{text}'"
