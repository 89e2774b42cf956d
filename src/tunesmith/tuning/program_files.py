"""Fingerprint of a job's program: its command, metrics and environment, and the files that the command names."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.core.program import DIGITS, Fingerprint, Source, digest
from tunesmith.tuning.source import imports, of_text

#: Keys of a job that may be secret, and those that say where a trial runs, not what it does.
_ENVIRONMENT: Final = "environment"
_WHERE: Final = frozenset({"cwd", "gpus_per_trial"})
#: So many files at most, and of a larger one its ends and its size.
_MOST_FILES: Final = 200
_WHOLE_BYTES: Final = 64 << 20
_SOURCE_BYTES: Final = 1 << 20
#: The path in ``{config_file:conf/base.yaml}``.
_TEMPLATE: Final = re.compile(r"\{config_file:([^{}]+)\}")
#: Interpreters are no part of a program: a new patch version of one is no other program.
_INTERPRETER: Final = re.compile(
    r"(python|pypy|perl|ruby|node|java|julia|Rscript|bash|dash|sh|zsh|env|uv|conda|php|lua)[0-9.]*(\.exe)?"
)


def of_job(job: Mapping[str, Any], cwd: Path) -> Fingerprint:
    """The fingerprint of what `job` (the part of a job file that a study keeps) runs in the folder `cwd`."""
    parts: dict[str, str] = {}
    sources: dict[str, tuple[str, Source]] = {}
    for key, value in job.items():
        if key in _WHERE:
            continue
        entries = value.items() if isinstance(value, Mapping) else [("", value)]
        for name, entry in entries:
            text = entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True)
            hidden = key == _ENVIRONMENT
            parts[f"{key}.{name}" if name else key] = f"digest {digest(text)}" if hidden else text
    for name, path in _files(job, cwd):
        described, source = _file(path)
        if described is not None:
            parts[f"file {name}"] = described
        if source is not None:
            sources[f"file {name}"] = (name, source)
    return Fingerprint(parts, sources)


def _files(job: Mapping[str, Any], cwd: Path) -> Iterator[tuple[str, Path]]:
    """The files that a job names, and the modules of its own that its Python programs import; by the names that
    they have there."""
    named: dict[Path, str] = {}
    for word in _words(job):
        for text in (word, word.partition("=")[2]):
            path = _path(cwd, text)
            if path is not None:
                named.setdefault(path, text)
    pending = [*named]
    while pending and len(named) < _MOST_FILES:
        path = pending.pop()
        for module in _imported(path, cwd):
            if module not in named:
                inside = module.is_relative_to(cwd.resolve())
                named[module] = str(module.relative_to(cwd.resolve()) if inside else module)
                pending.append(module)
    for path in sorted(named, key=named.__getitem__)[:_MOST_FILES]:
        yield named[path], path


def _words(job: Mapping[str, Any]) -> list[str]:
    """The words of a job that may be names of files; interpreters are none."""
    command = job.get("command", "")
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError:
            words = command.split()
    else:
        words = [str(word) for word in command]
    texts = [*words, *_TEMPLATE.findall(" ".join(words))]
    for before, word in itertools.pairwise(words):
        if before == "-m" and re.fullmatch(r"[\w.]+", word):
            module = word.replace(".", "/")
            texts += [f"{module}.py", f"{module}/__main__.py", f"{module}/__init__.py"]
    for key, value in job.items():
        if key not in ("command", _ENVIRONMENT):
            texts += _texts(value)
    return [
        text.strip(";&|()'\"[]<>") for text in texts if not _INTERPRETER.fullmatch(Path(text).name)
    ]


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for entry in value.items() for part in entry for text in _texts(part)]
    if isinstance(value, (list, tuple)):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def _path(cwd: Path, text: str) -> Path | None:
    """The file that `text` names; None if it is no file's name."""
    if not text or "{" in text or len(text) > 1000 or "\0" in text:
        return None
    try:
        path = (cwd / Path(text).expanduser()).resolve()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


def _imported(path: Path, cwd: Path) -> Iterator[Path]:
    """The files of the user's own modules that a Python file imports: those beside it, or in `cwd`."""
    text = _text(path) if path.suffix == ".py" else None
    for name in imports(text) if text is not None else ():
        dots = len(name) - len(name.lstrip("."))
        steps = [step for step in name.split(".") if step]
        folders = [path.parent, cwd.resolve()]
        if dots:
            folders = [path.parents[min(dots, len(path.parents)) - 1]]
        for folder in folders:
            for count in range(1, len(steps) + 1):
                stem = folder.joinpath(*steps[:count])
                for file in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
                    if file.is_file():
                        yield file.resolve()


def _text(path: Path) -> str | None:
    try:
        if path.stat().st_size > _SOURCE_BYTES:
            return None
        return path.read_text("utf-8-sig")
    except (OSError, ValueError):
        return None


def _file(path: Path) -> tuple[str | None, Source | None]:
    """What a file is, as a session keeps it: of Python its source without comments, of anything else its bytes."""
    if path.suffix == ".py" and (text := _text(path)) is not None:
        source = of_text(text)
        if source is not None:
            return source.stored(), source
    try:
        size = path.stat().st_size
        total = hashlib.sha256()
        with path.open("rb") as file:
            if size <= _WHOLE_BYTES:
                while chunk := file.read(1 << 20):
                    total.update(chunk)
            else:
                total.update(file.read(_WHOLE_BYTES // 2))
                file.seek(-_WHOLE_BYTES // 2, 2)
                total.update(file.read())
    except OSError:
        return None, None
    return f"digest {total.hexdigest()[:DIGITS]} file of {size:,} bytes", None
