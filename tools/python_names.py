"""The pages of docs/reference/python/: tunesmith's public names, a page for each module that people import.

What needs an extra is read, not imported.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import tunesmith

SOURCE: Final = Path(__file__).parents[1] / "src"
#: Characters in a line of a signature: what a page shows without scrolling.
WIDTH: Final = 88
#: Pages of names that stand in `tunesmith` itself: heading, and what is on it.
THEMES: Final = {
    "studies": (
        "Studies",
        ["tune", "fit", "load_model", "Study", "Trial", "Result", "Limits", "State", "Reason", "open_store"],
    ),
    "space": ("Spaces", ["Space", "Float", "Int", "Choice", "Fixed", "Normal"]),
    "programs": (
        "In a training program",
        ["LiveTrial", "report", "checkpoint", "last_checkpoint", "save", "restore", "find_learning_rate", "find_batch_size"],
    ),
    "strategies": (
        "Searchers and schedulers",
        ["Searcher", "Scheduler", "History", "Suggestion", "Decision", "Resume", "Drop", "Verdict", "allow_strategy"],
    ),
}  # fmt: skip
#: Pages of modules: heading, module, how it is written in code.
MODULES: Final = {
    "spaces": ("Ready spaces", "tunesmith.spaces", "ts.spaces"),
    "schedules": ("Schedules of learning rates", "tunesmith.training.schedules", "ts.schedules"),
    "hypergrad": ("Gradients by hyperparameters", "tunesmith.training.hypergrad", "ts.hypergrad"),
    "testing": ("Checks for parts of your own", "tunesmith.testing", "tunesmith.testing"),
}
HOW: Final = """\
Each module is imported by its name, such as `from tunesmith.integrations.optuna import TunesmithSampler`, and needs the library
that it is for. `TunesmithSearchCV` is in `tunesmith`, too."""
#: What is there for users in tunesmith.integrations, by module.
INTEGRATIONS: Final = {
    "sklearn": ["TunesmithSearchCV", "ReportCallback"],
    "optuna": ["TunesmithSampler", "export_study", "import_study"],
    "ray_tune": ["TunesmithSearch"],
    "keras_tuner": ["TunesmithOracle", "TunesmithTuner"],
    "torch": ["Loop", "make_optimizer", "lr_scheduler", "range_test"],
    "jax": ["Loop"],
    "lightning": ["ReportCallback"],
    "keras": ["ReportCallback", "lr_schedule"],
    "transformers": ["ReportCallback"],
    "xgboost": ["ReportCallback"],
    "lightgbm": ["ReportCallback"],
    "catboost": ["ReportCallback"],
    "stable_baselines3": ["ReportCallback"],
    "mlflow": ["MlflowLogger"],
    "tensorboard": ["TensorboardLogger"],
    "wandb": ["read_sweep"],
    "wandb_runs": ["WandbLogger"],
    "azure": ["read_sweep"],
    "sagemaker": ["read_sweep"],
    "katib": ["read_sweep"],
    "nni": ["read_sweep"],
}


def pages() -> dict[str, Callable[[], str]]:
    """What makes each page, by its name in docs/reference."""
    made: dict[str, Callable[[], str]] = {"python.md": index}
    for name, (heading, names) in THEMES.items():
        made[f"python/{name}.md"] = partial(theme, heading, names)
    for name, (heading, module, written) in MODULES.items():
        made[f"python/{name}.md"] = partial(module_page, heading, module, written)
    return made | {"python/integrations.md": integrations, "python/errors.md": errors}


def index() -> str:
    """Where each name is."""
    placed = {name for _, names in THEMES.values() for name in names}
    public = {n for n in tunesmith.__all__ if not n.startswith("__") and not _is_error(n)}
    missing = public - placed - MODULES.keys()
    assert not missing, f"tools/python_names.py: no page has {', '.join(sorted(missing))}"
    lines = ["# Python\n\n", "Everything is in `tunesmith`: `import tunesmith as ts`.\n\n"]
    for page, (heading, names) in THEMES.items():
        lines.append(f"## [{heading}](python/{page}.md)\n\n| name | |\n| --- | --- |\n")
        for name in names:
            first = _doc(getattr(tunesmith, name)).partition("\n\n")[0]
            lines.append(f"| [`{name}`](python/{page}.md#{name.lower()}) | {_cell(first)} |\n")
        lines.append("\n")
    lines.append("## Modules\n\n| module | |\n| --- | --- |\n")
    for page, (_, module, written) in MODULES.items():
        first = _doc(import_module(module)).partition("\n\n")[0]
        lines.append(f"| [`{written}`](python/{page}.md) | {_cell(first)} |\n")
    lines.append(
        "| [`tunesmith.integrations`](python/integrations.md) | For other people's libraries: one module each. |\n"
    )
    lines.append("| [errors](python/errors.md) | What is raised, as a tree. |\n")
    return "".join(lines)


def _is_error(name: str) -> bool:
    value = getattr(tunesmith, name)
    return inspect.isclass(value) and issubclass(value, Exception)


def theme(heading: str, names: list[str]) -> str:
    lines = [f"# {heading}\n\n", "All of `tunesmith` itself: `import tunesmith as ts`.\n\n"]
    for name in names:
        value = getattr(tunesmith, name)
        lines += [f"## {name}\n\n", _signature(name, value), _doc(value), "\n\n"]
        if inspect.isclass(value):
            lines += _members(name, value)
    return "".join(lines)


def module_page(heading: str, module: str, written: str) -> str:
    found = import_module(module)
    lines = [f"# {heading}\n\n`{written}`\n\n{_doc(found)}\n\n"]
    for name in _public(found):
        value = getattr(found, name)
        lines += [f"## {name}\n\n", _signature(name, value), _doc(value), "\n\n"]
    return "".join(lines)


def _public(module: Any) -> list[str]:
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return list(getattr(module, "__all__", own))


def errors() -> str:
    module = inspect.getdoc(sys.modules["tunesmith.core.errors"]) or ""
    tree = inspect.cleandoc(module.partition("\n\n")[2])
    return f"# Errors\n\nAll are in `tunesmith`: `except ts.StudyExists:`.\n\n```\n{tree}\n```\n"


def _signature(name: str, value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Enum):
        return ""
    try:
        parameters = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    if inspect.isclass(value) and getattr(value, "_is_protocol", False):
        return ""
    plain = [
        p.replace(annotation=p.empty) for p in parameters.parameters.values() if p.name != "self"
    ]
    text = str(parameters.replace(parameters=plain, return_annotation=parameters.empty))
    return _call(f"{name}{re.sub(r'<[^>]*>', '...', text)}")


def _call(call: str) -> str:
    if len(call) > WIDTH:
        call = textwrap.fill(
            call, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
    return f"```py\n{call}\n```\n\n"


def _doc(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Enum):
        own = f"{value.__doc__}\n\n" if value.__doc__ else ""
        return f"{own}{', '.join(f'`{member.name}`' for member in value)}."
    return _as_markdown(inspect.getdoc(value) or "")


def _as_markdown(doc: str) -> str:
    """Doctests as blocks of text (they are run where they stand, in the code)."""
    doc = re.sub(r"(?<!`)``([^`]+)``(?!`)", r"`\1`", doc)
    return re.sub(
        r"((?:^>>> .*\n(?:^(?!>>>|\s*$).*\n?)*)+)",
        lambda m: f"```pycon\n{m[1].rstrip()}\n```\n",
        f"{doc}\n",
        flags=re.MULTILINE,
    ).rstrip()


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


def _members(owner: str, cls: type[Any]) -> Iterator[str]:
    """Public methods and properties."""
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        plain = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        is_property = isinstance(plain, property)
        if not (callable(plain) or is_property) or not inspect.getdoc(plain):
            continue
        bound = plain if is_property else getattr(cls, name)
        yield f"### {owner}.{name}\n\n{'' if is_property else _signature(name, bound)}{_doc(plain)}\n\n"


# -- what is read, not imported ---------------------------------------------------------------


def integrations() -> str:
    lines = [f"# Integrations\n\n{HOW}\n\n"]
    for module, names in INTEGRATIONS.items():
        tree = _tree(f"tunesmith.integrations.{module}")
        lines += [f"## {module}\n\n", _as_markdown(_blocks(ast.get_docstring(tree) or "")), "\n\n"]
        for name in names:
            lines += [f"### {module}.{name}\n\n", _read(tree, name), "\n\n"]
    return "".join(lines)


def _tree(module: str) -> ast.Module:
    path = SOURCE.joinpath(*module.split("."))
    return ast.parse(
        (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    )


def _blocks(doc: str) -> str:
    """Indented lines as blocks of code."""
    return re.sub(
        r"(?:^ {4}.*\n?)+",
        lambda m: f"```py\n{textwrap.dedent(m[0]).rstrip()}\n```\n",
        f"{doc}\n",
        flags=re.MULTILINE,
    ).rstrip()


def _read(tree: ast.Module, name: str) -> str:
    """Signature and docstring of a class or function of a module, or of the one that it is imported from."""
    for node in ast.walk(tree):  # one is made in a function, once its library is loaded
        if isinstance(node, ast.ImportFrom) and any(a.name == name for a in node.names):
            assert node.module is not None
            return _read(_tree(node.module), name)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return _written(node)
    raise LookupError(f"tools/python_names.py: there is no {name}")


def _written(node: ast.ClassDef | ast.FunctionDef) -> str:
    made: ast.stmt | None = node
    if isinstance(node, ast.ClassDef):
        made = next((n for n in node.body if getattr(n, "name", "") == "__init__"), None)
    call = ""
    if isinstance(made, ast.FunctionDef):
        given = made.args
        for argument in [
            *given.posonlyargs,
            *given.args,
            *given.kwonlyargs,
            given.vararg,
            given.kwarg,
        ]:
            if argument is not None:
                argument.annotation = None
        given.args = [a for a in given.args if a.arg != "self"]
        call = _call(f"{node.name}({ast.unparse(given)})")
    return call + _as_markdown(_blocks(ast.get_docstring(node) or ""))
