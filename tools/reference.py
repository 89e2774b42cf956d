"""Write docs/reference/ from the code: ``python tools/reference.py``; with --check, only compare."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import python_names
from tunesmith.cli import errors
from tunesmith.cli.app import app
from tunesmith.core.limits import Limits
from tunesmith.run.template import BUILT_IN
from tunesmith.tuning.job_model import JobModel

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Written by tools/reference.py from the code: change it there. -->\n\n"

SPACE = """\
## The space

`space:` has the parameters by name. A parameter is one of

| form | meaning |
| --- | --- |
| `{float: [low, high]}` | a real number; options `log` (`true`, or `reverse` for values just below 1), `step` |
| `{int: [low, high]}` | a whole number, both ends included; options `log`, `step` |
| `{choice: [a, b, ...]}` | one of several values of any kind; option `ordered` |
| `{value: x}` | a fixed value with options |
| anything else | a fixed value |

Every form takes `group` (`model`, `optimizer` or `data`) and `when`, the first three `default`, `prior` and `structural`.

`prior` says where you expect the best value: for a number `{normal: [centre, spread]}`, where on a log
scale the spread is a factor (`{normal: [1e-3, 3]}`: around 0.001, give or take a factor of 3); for a choice
weights (`{adam: 3}`: three times as likely as each of the others).

`when` says when the parameter is active: a mapping from parents to a value, or to a list of values of
which one must hold; or an expression such as `'layers >= 2 and optimizer == "sgd"'`. A parameter whose
parent is inactive is inactive.

`structural: true` says that the parameter must not change in the middle of a run, since weights trained with one value do
not fit another (the schedulers `pbt` and `pb2` keep it); `false`, that it may. Without it choices, the group `model`
and parameters that a `when` refers to are structural.

`require:` among the parameters is a list of relations that must hold in every config; one that names an
inactive parameter does not apply.

```yaml
optimizer: {choice: [adam, sgd], group: optimizer}
learning_rate: {float: [1e-5, 1e-1], log: true, default: 1e-3, group: optimizer}
momentum: {float: [0.5, 0.999], log: reverse, when: {optimizer: sgd}}
layers: {int: [1, 8], group: model}
width: {choice: [16, 32, 64], ordered: true, when: 'layers >= 2'}
crop: {choice: [[24, 24], [28, 28]], group: data}
epochs: 20
require: [layers * 32 <= 128]
```
"""

PROGRAM = """\
## What the program gets

A trial's program runs in `cwd`, in a process group of its own, with tunesmith's environment and these variables:

| variable | content |
| --- | --- |
| `TUNESMITH_PARAM_<NAME>` | each active parameter (upper case, dots as underscores); texts as they are, the rest as JSON |
| `TUNESMITH_CONFIG` | the path of a JSON file with the config |
| `TUNESMITH_DIR` | the trial's own folder |
| `TUNESMITH_CHECKPOINT_DIR` | a folder for checkpoints in it, kept when the trial is run again, or goes on |
| `TUNESMITH_REPORTED` | the last step that earlier attempts reported; empty in the first |
| `TUNESMITH_METRICS` | a file to which JSON lines with metrics may be written |
| `TUNESMITH_STOP` | a file that appears when the trial should end; it says why (`paused: ...` if it may go on later) |
| `TUNESMITH_TRIAL`, `TUNESMITH_SEED` | the trial's number, and a seed of its own |
| `CUDA_VISIBLE_DEVICES` | its GPUs, with `gpus_per_trial` |
| `OMP_NUM_THREADS` and others | its share of the cores, unless they are set |

`TUNESMITH_TOKEN`, and a `TUNESMITH_STORAGE` with a password or token in it, are not for programs; one that asks and tells itself gets them
by `environment: {TUNESMITH_TOKEN: inherit}`.

`python` in a command is the Python that tunesmith runs in, unless a virtual environment is activated.
Told to end, it gets SIGTERM, and after `grace` SIGKILL, with all processes that it started.

When it ends, whatever it has left running is killed. On Linux that includes daemons with an emptied environment
(`env -i setsid ...`): they descend from a small parent of the program's own. On macOS a process is found by its session and by an
environment variable, so a daemon that has left both lives on. Nowhere contained is what another service starts on a
program's behalf (`docker run`, `systemd-run`, `at`, `ssh`), or what a program does after it has killed its own parent process.
Memory and times are those of the program and of all it started; on Linux less than some 7 MB is shown as that.

Metrics are found in its output and error output, line by line, and in `$TUNESMITH_METRICS`: by the patterns
under `metrics:`, and in JSON objects that have one of the metrics. The last value counts. A `step` comes
along if a pattern or JSON key of that name finds one; otherwise a metric's step is how often it was seen.
A value that is not finite, or no number where there had been one, counts as such: the one before does not stand.
Exit code 0 says that the metrics count.
"""


WORDS = """\
## Values as words

A value goes into the command whole, never split or run: a text as it is, everything else as JSON; a negative number
that is a word of its own without exponent (`-0.00005`), since option parsers take `-5e-05` for an option.

| placeholder | stands for |
| --- | --- |
| `{name}` | the value |
| `{name:each}` | a list as several words: `--layers {layers:each}` is `--layers 64 32`, `-l={layers:each}` is `-l=64 -l=32` |
| `{name:,}` | a list joined by a comma, or by other punctuation, or by `x` |
| `{name:yes\\|no}` | what stands for true and for false: `{amp:True\\|False}`, `{amp:1\\|0}`; `{amp:--amp\\|}` is a flag or nothing, `{amp:--amp\\|--no-amp}` one of two |
| `{name:hydra}` | the value as Hydra's grammar has it, for `+model.lr={lr:hydra}` |
| `[... {name}]` | nothing if the parameter is inactive or null (with `shell: true`, too) |
| `{args}` | `--name value` for every active parameter that is not null |
| `{args:argparse}` | those that the command does not name elsewhere: `--name value`, `--name` or nothing, `--name 64 32` |
| `{args:click}` | the same as `--name=value`, `--name` or `--no-name`, `--name=64 --name=32`, with dashes for underscores |
| `{args:hydra}` | the same as `name=value` |
| `{config_file}` | the path of a JSON file with the config, names as they are |
| `{config_file:yaml}` | the path of a YAML file (`json` and `toml` likewise), nested by the dots in names |
| `{config_file:conf/base.yaml}` | the path of a copy of that file (YAML, JSON or TOML, relative to `cwd`) with the values at their dotted places |

Two parameters that would share an environment variable (`model.lr` and `model_lr`) are refused. See the
[guide](../guides/programs.md).
"""


def job_file() -> str:
    """The job file's reference, from its model."""
    lines = ["# Job files\n\n", f"{inspect.getdoc(JobModel)}\n\n", "## Keys\n\n"]
    for name, info in JobModel.model_fields.items():
        default = (
            "" if info.is_required() else _default(info.get_default(call_default_factory=True))
        )
        need = "**required**" if info.is_required() else f"default {default}"
        lines.append(f"### {name}\n\n{need} · {info.description}\n\n")
        lines += [f"```yml\n{name}: {example}\n```\n\n" for example in info.examples or []]
    names = ", ".join(f"`{{{name}}}`" for name in BUILT_IN)
    lines.append(f"Placeholders beside the parameters: {names}.\n\n")
    lines += [
        f"{WORDS}\n",
        SPACE,
        "\n## Limits\n\n",
        "Durations are seconds or a text such as `90s`, `10m`, `1h30m`; ",
    ]
    lines.append(
        "sizes bytes or a text such as `512MiB`, `4GB`.\n\n| limit | default | meaning |\n"
    )
    lines.append("| --- | --- | --- |\n")
    for field in dataclasses.fields(Limits):
        lines.append(f"| `{field.name}` | {_default(field.default)} | {field.metadata['doc']} |\n")
    return "".join([*lines, "\n", PROGRAM])


def _default(value: Any) -> str:
    return (
        "none"
        if value in (None, [], {})
        else f"`{str(value).lower() if value in (True, False) else value}`"
    )


def cli() -> str:
    """The command line's reference, from its own help."""
    lines = ["# Command line\n\n", "`tunesmith COMMAND --help` says the same.\n\n"]
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        lines.append(f"## tunesmith {name}\n\n{inspect.cleandoc(command.help or '')}\n\n")
        rows = [row for parameter in command.params for row in _parameter(parameter)]
        if rows:
            lines += ["| argument or option | meaning |\n", "| --- | --- |\n", *rows, "\n"]
    lines.append("## Exit codes\n\n")
    lines.append("".join(f"- `{code}`: {text}\n" for code, text in exit_codes()))
    lines.append(
        "\n## Shell completion\n\n`tunesmith --install-completion` installs it for the shell you are in "
        "(bash, zsh, fish); `--show-completion` prints it.\n"
    )
    return "".join(lines)


def _parameter(parameter: Any) -> Iterator[str]:
    if parameter.name == "help":
        return
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = ", ".join(parameter.opts)
    text = " ".join((parameter.help or "").split())
    yield f"| `{name}` | {text} |\n"


def exit_codes() -> Iterator[tuple[str, str]]:
    """The codes and their meaning, from the module that defines them."""
    text = inspect.getdoc(errors) or ""
    for match in re.finditer(r"^(\d+) +((?:.+\n?)(?: {5}.+\n?)*)", text, flags=re.MULTILINE):
        yield match[1], " ".join(match[2].split())


PAGES = {
    "job-file.md": job_file,
    "cli.md": cli,
    **python_names.pages(),
}


def main() -> int:
    check, stale = "--check" in sys.argv, []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, f"{NOTE}{make().rstrip()}\n"
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    for path in sorted(REFERENCE.rglob("*.md")):
        if (name := path.relative_to(REFERENCE).as_posix()) not in PAGES:  # of what is gone
            stale.append(name)
            if not check:
                path.unlink()
    if stale and check:
        print(f"out of date: {', '.join(stale)}; run python tools/reference.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
