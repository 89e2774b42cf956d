"""Config files for programs: a trial's config nested by its dotted names, as YAML, JSON or TOML.

``{config_file:yaml}`` makes one of the config alone (``model.lr`` becomes ``{model: {lr: ...}}``);
``{config_file:conf/base.yaml}`` puts the values into a copy of that file, at their dotted places. What is
written reads the same in YAML 1.1 (PyYAML) and 1.2: texts are quoted, ``1e-05`` is ``1.0e-05``.
"""

from __future__ import annotations

import copy
import io
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.files import write_text

#: Forms without a template.
_PLAIN: Final = ("yaml", "json", "toml")
#: The formats by a file name's end.
_FORMATS: Final = {"yaml": "yaml", "yml": "yaml", "json": "json", "toml": "toml"}
#: Where trials have these files, in their folder.
_FOLDER: Final = "config"
#: In JSON, texts and numbers with an exponent but no point.
_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(-?\d+)(e[-+]?\d+)')
_UNPRINTABLE: Final = re.compile("[\x7f-\x84\x86-\x9f\ufffe\uffff]")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One ``{config_file:form}``: its format, and the text of its template, if it has one."""

    form: str
    format: str
    template: str | None = None

    @classmethod
    def of(cls, form: str, folder: Path) -> ConfigFile:
        """Read a form: a format, or a template's path, relative to `folder`. Raises JobError."""
        if form in _PLAIN:
            return cls(form, form)
        end = form.rpartition(".")[2].lower()
        if end not in _FORMATS:
            raise JobError(
                f"command: {{config_file:{form}}} is yaml, json, toml, or the path of a file that ends so and "
                "serves as a template"
            )
        try:
            text = (folder / form).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise JobError(
                f"command: the template {folder / form} cannot be read: {error}"
            ) from None
        made = cls(form, _FORMATS[end], text)
        if not isinstance(made._data(), dict):
            raise JobError(
                f"command: the template {form} has no names to put values at: a mapping is needed"
            )
        return made

    @property
    def placeholder(self) -> str:
        """What stands for it in a command."""
        return f"{{config_file:{self.form}}}"

    @property
    def name(self) -> str:
        """What the file is called in a trial's folder."""
        return _path(self.form, Path()).name

    def check(self, names: Sequence[str]) -> None:
        """Raise JobError for parameters that have no place in it, or the same one."""
        for name in names:
            parent = next((n for n in names if name.startswith(f"{n}.")), None)
            if parent is not None:
                raise JobError(
                    f"command: {self.placeholder} cannot have both {parent} and {name}, which is a part of "
                    "it; rename one of them"
                )

    def lacks(self, names: Sequence[str]) -> dict[str, str]:
        """The parameters for which the template has no place, each with a hint."""
        if self.template is None:
            return {}
        data = self._data()
        known = list(_dotted(data))
        return {n: did_you_mean(n, known) for n in names if _place(data, n.split(".")) is None}

    def write(self, config: Mapping[str, Any], folder: Path) -> Path:
        """Write the file of a trial below its folder; its path. Raises OSError."""
        path = _path(self.form, folder)
        path.parent.mkdir(exist_ok=True)
        write_text(path, self.text(config))
        return path

    def text(self, config: Mapping[str, Any]) -> str:
        """The file with the values of `config`; what a template has beside them stays."""
        if self.format == "yaml":
            config = {name: _for_yaml(value) for name, value in config.items()}
        if self.template is None:
            return _WRITERS[self.format](nested(config))
        data = self._data()
        anchors = _Anchors(data) if self.format == "yaml" else None
        for name, value in config.items():
            keys = _place(data, name.split("."))
            if keys is not None:
                _put(data, keys, value, anchors)
        return _WRITERS[self.format](data)

    def _data(self) -> Any:
        assert self.template is not None
        try:
            return _READERS[self.format](self.template)
        except Exception as error:  # noqa: BLE001 (three readers, each with errors of its own)
            first = " ".join(str(error).split())
            raise JobError(
                f"command: the template {self.form} is no {self.format.upper()}: {first}"
            ) from None


def nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as mappings inside one another, by its dotted names."""
    data: dict[str, Any] = {}
    for name, value in config.items():
        *parents, last = name.split(".")
        node = data
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return data


def config_paths(forms: Iterable[str], folder: Path) -> dict[str, str]:
    """What stands for each ``{config_file:form}`` in a trial whose folder this is."""
    return {f"{{config_file:{form}}}": str(_path(form, folder)) for form in forms}


def _path(form: str, folder: Path) -> Path:
    return folder / _FOLDER / (f"config.{form}" if form in _PLAIN else Path(form).name)


def config_files(forms: Iterable[str], folder: Path) -> tuple[ConfigFile, ...]:
    """The files of ``{config_file:form}``, templates read from `folder`. Raises JobError."""
    files = tuple(ConfigFile.of(form, folder) for form in dict.fromkeys(forms))
    for file in files:
        other = next((f for f in files if f is not file and f.name == file.name), None)
        if other is not None:
            raise JobError(
                f"command: {file.placeholder} and {other.placeholder} are both called {file.name} in "
                "a trial's folder; rename one of the templates"
            )
    return files


def json_text(data: Any) -> str:
    """JSON that readers of YAML 1.1 take for the same data."""
    text = _printable(json.dumps(data, indent=2, ensure_ascii=False))
    return _NUMBER.sub(lambda m: m[0] if m[1] is None else f"{m[1]}.0{m[2]}", text) + "\n"


def _printable(text: str) -> str:
    """JSON with escapes for what JSON may have as it is, and YAML and TOML may not."""
    return _UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


# -- places in nested data --------------------------------------------------------------------


def _place(node: Any, parts: Sequence[str]) -> list[Any] | None:
    """The keys that lead to a dotted name; a key may have dots itself, an item of a list goes by its number."""
    if not parts:
        return []
    if isinstance(node, list):
        if parts[0].isdigit() and int(parts[0]) < len(node):
            rest = _place(node[int(parts[0])], parts[1:])
            return None if rest is None else [int(parts[0]), *rest]
        return None
    if not isinstance(node, dict):
        return None
    for k in range(1, len(parts) + 1):
        key = ".".join(parts[:k])
        if key in node and (rest := _place(node[key], parts[k:])) is not None:
            return [key, *rest]
    return None


def _dotted(node: Any, before: str = "") -> Iterator[str]:
    """The dotted names of all values that are no mappings."""
    for key, value in node.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{name}.")
        else:
            yield name


def _put(data: Any, keys: Sequence[Any], value: Any, anchors: _Anchors | None) -> None:
    node = data
    for depth, key in enumerate(keys[:-1], start=1):
        if anchors is not None and anchors.elsewhere(node[key], keys[:depth]):
            node[key] = copy.copy(node[key])  # the alias is no more: the original stays
        node = node[key]
    old = node[keys[-1]]
    if anchors is not None and not anchors.elsewhere(old, keys):
        anchors.replace(old, value)
    node[keys[-1]] = value


class _Anchors:
    """Which parts of a YAML document stand in several places (``&name``, ``*name``): what is changed where the
    anchor is changes everywhere, as it would in an editor; what is changed at an alias, there alone."""

    def __init__(self, data: Any) -> None:
        self._first: dict[int, list[Any]] = {}
        #: Aliases of scalars: whose, and where.
        self._aliases: dict[int, list[tuple[Any, Any]]] = {}
        self._walk(data, [])

    def _walk(self, node: Any, keys: list[Any]) -> None:
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in pairs:
            if not _anchored(value) and not isinstance(value, (dict, list)):
                continue
            if id(value) in self._first:
                self._aliases.setdefault(id(value), []).append((node, key))
                continue
            self._first[id(value)] = [*keys, key]
            if isinstance(value, (dict, list)):
                self._walk(value, [*keys, key])

    def elsewhere(self, value: Any, keys: Sequence[Any]) -> bool:
        """Whether what stands at `keys` is an alias of what stands somewhere else."""
        first = self._first.get(id(value))
        return first is not None and first != list(keys)

    def replace(self, old: Any, value: Any) -> None:
        """Put `value` where aliases of `old` are."""
        for node, key in self._aliases.get(id(old), ()):
            node[key] = value


def _anchored(value: Any) -> bool:
    anchor = getattr(value, "anchor", None)
    return getattr(anchor, "value", None) is not None


# -- formats ----------------------------------------------------------------------------------


def _yaml() -> Any:
    """A reader and writer that keeps comments, order and spelling."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = sys.maxsize
    yaml.allow_duplicate_keys = True
    return yaml


def _read_yaml(text: str) -> Any:
    documents = list(_yaml().load_all(text))
    if len(documents) != 1:
        raise ValueError(f"it has {len(documents)} documents, and one is needed")
    return documents[0]


def _write_yaml(data: Any) -> str:
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Floats have a point."""

    def number(representer: Any, value: float) -> Any:
        node = representer.represent_float(value)
        mantissa, e, exponent = node.value.partition("e")
        if e and "." not in mantissa:
            node.value = f"{mantissa}.0e{exponent}"
        return node

    Representer.add_representer(float, number)
    yaml = _yaml()
    yaml.Representer = Representer
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def _for_yaml(value: Any) -> Any:
    """A value whose texts will be in quotes: ``no`` is no truth value."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, str):
        return DoubleQuotedScalarString(value)
    if isinstance(value, (list, tuple)):
        return [_for_yaml(item) for item in value]
    if isinstance(value, Mapping):
        return {_for_yaml(key): _for_yaml(item) for key, item in value.items()}
    return value


def _write_toml(data: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for line in _toml_table(data, ()))


def _toml_table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """A table's own values, then the tables in it."""
    tables = {k: v for k, v in table.items() if isinstance(v, Mapping) and v}
    values = {k: v for k, v in table.items() if k not in tables and v is not None}
    if path and (values or not tables):
        yield f"[{'.'.join(map(_toml_key, path))}]"
    yield from (f"{_toml_key(key)} = {_toml_value(value)}" for key, value in values.items())
    for key, inner in tables.items():
        yield from _toml_table(inner, (*path, key))


def _toml_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _toml_text(key)


def _toml_value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _toml_text(value)
        case float():
            return repr(value)  # inf and nan are TOML's words too
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return f"[{', '.join(_toml_value(item) for item in value if item is not None)}]"
        case Mapping():
            inner = (
                f"{_toml_key(k)} = {_toml_value(v)}" for k, v in value.items() if v is not None
            )
            return f"{{{', '.join(inner)}}}"
    return str(value)


def _toml_text(text: str) -> str:
    """JSON's escapes are TOML's."""
    return _printable(json.dumps(text, ensure_ascii=False))


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "yaml": _read_yaml,
    "json": json.loads,
    "toml": tomllib.loads,
}
_WRITERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "yaml": _write_yaml,
    "json": json_text,
    "toml": _write_toml,
}
