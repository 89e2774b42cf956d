"""Documentation is executed: every block of code in README.md and docs/ runs, file by file, in order.

```python              runs; what it prints may be shown in a ```text block behind it
```python save=x.py    is saved in the file's temporary folder instead
```c save=x.c          is saved there, too
```yaml                is read as a job file, or as a space; with save=, saved too; with data, it is neither
```console             its "$ commands" run in that folder; "..." stands for any output
```sh                  is not run, but its tunesmith commands have to exist
postgres               as an option: the URL postgresql://tuner@db/tuning is one of a server of ours
vizier                 as an option: 127.0.0.1:6006 is the door of a service of ours for Vizier's clients, http://127.0.0.1:8765 the service, ts_... a token of it
service                as an option: the URL http://tuner:8765 is one of a service of ours, with a token
needs=NAME             as an option: is run where the package NAME is, in an environment of tools/environment if not here
"""

from __future__ import annotations

import atexit
import contextlib
import doctest
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterable
from doctest import ELLIPSIS
from pathlib import Path
from typing import Any

from hypothesis import settings
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from sybil.parsers.rest import DocTestParser

BLOCK = re.compile(r"(?P<language>\w+)(?P<options>[^\n]*)\n")
BIN = Path(sys.executable).parent

if not os.environ.get("CI"):  # there Hypothesis has a profile of its own, without a deadline too
    settings.register_profile("no clock", deadline=None)
    settings.load_profile("no clock")


class CodeBlocks:
    """Sybil's parser for all of the above."""

    def __call__(self, document: Document) -> Iterable[Region]:
        for region in RawFencedCodeBlockLexer(BLOCK)(document):
            language = region.lexemes["language"]
            if language not in EVALUATORS:
                continue
            region.parsed = str(region.lexemes["source"])
            region.evaluator = in_order
            yield region


def in_order(example: Example) -> str | None:
    """Evaluate a block, after those before it in its file that this process has not: another one may have had them."""
    needed = options(example).get("needs")
    if needed and importlib.util.find_spec(needed) is None:
        raise unittest.SkipTest(f"{needed} is not here: tools/check runs this where it is")
    done = example.namespace.setdefault("done", set())
    for earlier in example.document:
        if earlier.region.start < example.region.start and earlier.region.start not in done:
            done.add(earlier.region.start)
            EVALUATORS[earlier.region.lexemes["language"]](earlier)
    done.add(example.region.start)
    problem: str | None = EVALUATORS[example.region.lexemes["language"]](example)
    return problem


def options(example: Example) -> dict[str, str]:
    words = example.region.lexemes["options"].split()
    return dict(word.partition("=")[::2] for word in words)


def save(example: Example) -> bool:
    """Save the block if it says so."""
    name = options(example).get("save")
    if name:
        (example.namespace["folder"] / name).write_text(with_database(example))
    return bool(name)


def with_database(example: Example) -> str:
    """The block, with the URL of a database or service that is there if it wants one."""
    text: str = example.parsed
    if not {"postgres", "service", "vizier"} & {*options(example)}:
        return text
    root = str(Path(__file__).parent)
    if root not in sys.path:
        sys.path.append(root)
    known = example.namespace
    if "postgres" in options(example):
        from tests.postgres import server

        if "url" not in known:
            known["url"] = server().url()
        return text.replace("postgresql://tuner@db/tuning", known["url"])
    if "vizier" in options(example):
        from tests.service.vizier.conftest import Door

        if "door" not in known:
            known["door"] = door = Door(known["folder"] / "vizier.db")
            atexit.register(door.close)
            known["token"] = door.token("control")
        door = known["door"]
        text = text.replace("127.0.0.1:6006", door.endpoint).replace("ts_...", known["token"])
        return text.replace("http://127.0.0.1:8765", door.url())
    from tests.service.running import emptied

    if "service" not in known:
        known["service"] = emptied()
    return text.replace("http://tuner:8765", known["service"])


def python(example: Example) -> None:
    if save(example):
        return
    code = compile("\n" * (example.line + 1) + with_database(example), str(example.path), "exec")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, example.namespace)
    example.namespace["printed"] = out.getvalue()


def source(example: Example) -> None:
    save(example)


def text(example: Example) -> str | None:
    return compare(example.parsed, example.namespace.get("printed", ""))


def yaml(example: Example) -> None:
    from tunesmith import Space
    from tunesmith.core.text import read_yaml
    from tunesmith.tuning.job import load_job

    save(example)
    if "data" in options(example):
        return
    if "command" in read_yaml(example.parsed):
        path = example.namespace["folder"] / "checked.yaml"
        path.write_text(example.parsed)
        load_job(path)
    else:
        Space.from_yaml(example.parsed)


def console(example: Example) -> str | None:
    """Run the commands, one after the other; their output must be what is shown."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    environment.pop("TUNESMITH_STORAGE", None)
    for part in re.split(r"^\$ ", with_database(example), flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        run = subprocess.run(
            command,
            shell=True,
            cwd=example.namespace["folder"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        problem = compare(expected, run.stdout)
        if problem or run.returncode:
            return f"$ {command}\nexit code {run.returncode}\n{problem or run.stdout}"
    return None


def shell(example: Example) -> str | None:
    from tunesmith.cli.app import app

    known = {command.name for command in app.registered_commands}
    used = set(re.findall(r"\btunesmith (\w+)", example.parsed))
    return f"there is no tunesmith {', '.join(used - known)}" if used - known else None


def compare(expected: str, got: str) -> str | None:
    """None if they are the same, "..." standing for anything."""
    tidy = "\n".join(line.rstrip() for line in got.strip().splitlines())
    if doctest.OutputChecker().check_output(f"{expected.strip()}\n", f"{tidy}\n", ELLIPSIS):
        return None
    return f"expected:\n{expected}\ngot:\n{got}"


EVALUATORS: dict[str, Any] = {
    "python": python,
    "c": source,
    "text": text,
    "yaml": yaml,
    "console": console,
    "sh": shell,
}


def begin(namespace: dict[str, Any]) -> None:
    """Each file has a folder of its own, and works in it."""
    namespace["folder"] = Path(tempfile.mkdtemp(prefix="docs-"))
    namespace["before"] = Path.cwd()
    namespace["done"] = set()  # a process that comes back to a file begins with an empty folder
    os.chdir(namespace["folder"])
    sys.path.insert(0, str(namespace["folder"]))


def end(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["before"])
    sys.path.remove(str(namespace["folder"]))


pytest_collect_file = (
    Sybil(
        parsers=[CodeBlocks()],
        patterns=["README.md", "docs/*.md", "docs/**/*.md"],
        setup=begin,
        teardown=end,
    )
    + Sybil(parsers=[DocTestParser(optionflags=ELLIPSIS)], patterns=["src/**/*.py"])
).pytest()
