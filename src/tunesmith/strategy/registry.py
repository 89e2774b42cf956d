"""The registry of strategies by name: our own files, installed packages, or what the user has allowed.

A name may come from a job file or a store that somebody else wrote, so it must not choose code. Built-in names
and entry points of installed packages are made as they are. An import path (``module:Class``) is made only
where the user's own code or command line has named it: by passing such an object to `describe`, or by `allow_strategy`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any, Final

from tunesmith.core.errors import StrategyError, StrategyNotAllowed, did_you_mean, shorten
from tunesmith.core.space.parameter import plain
from tunesmith.core.study import Strategy

#: Import paths that may be made in this process, with their class; None for one that is yet to be imported.
_allowed: Final[dict[str, Callable[..., Any] | None]] = {}


def allow_strategy(*strategies: str | type) -> None:
    """Let studies, in this process, use searchers and schedulers of your own that are named by import path.

    Each is the class, or its import path ``"module:Class"``, which is imported when a study needs it. Only
    needed for what is not passed as an object in this process: to go on with a stored study by its name, to
    replay it, or for a job file's. Raises StrategyError for what is no import path.
    """
    for strategy in strategies:
        if isinstance(strategy, type):
            _allowed[_path_of(strategy)] = strategy
        elif isinstance(strategy, str) and all(strategy.partition(":")):
            _allowed.setdefault(strategy, None)
        else:
            raise StrategyError(
                f"allow a strategy by its class or import path, 'module:Class', not {strategy!r}"
            )


def names(package: str, group: str) -> list[str]:
    """Every name that `make` knows: the files of `package`, and the entry points of `group`."""
    own = [m.name for m in iter_modules(import_module(package).__path__)]
    return sorted({*own, *(entry.name for entry in entry_points(group=group))})


def make(
    strategy: Strategy, *, package: str, attribute: str, group: str, noun: str, verb: str
) -> Any:
    """The strategy: ``attribute`` of the file ``package/name.py``, the entry point `name` of `group`,
    or an allowed ``module:Class``; called with the options. Raises StrategyError."""
    factory = _find(strategy.name, package, attribute, group, noun)
    try:
        made = factory(**strategy.options)
    except (TypeError, ValueError) as error:
        options = fields(factory) if is_dataclass(factory) else ()
        known = [f.name for f in options]
        for option in strategy.options:
            if known and option not in known:
                raise StrategyError(
                    f"{noun} {strategy.name!r} has no option {option!r}{did_you_mean(option, known)}"
                ) from None
        needed = [f.name for f in options if f.default is f.default_factory is MISSING]
        if missing := [name for name in needed if name not in strategy.options]:
            example = ", ".join(f"{name!r}: ..." for name in needed)
            raise StrategyError(
                f"{noun} {strategy.name!r} needs {', '.join(missing)}: {{{strategy.name!r}: {{{example}}}}}"
            ) from None
        raise StrategyError(f"{noun} {strategy.name!r}: {error}") from error
    if not callable(getattr(made, verb, None)):
        raise StrategyError(f"{strategy.name!r} is no {noun}: it has no method {verb!r}")
    return made


def describe(strategy: Any, *, package: str, noun: str) -> Strategy:
    """The name and options under which `make` finds this object's class again; allowed from now on."""
    if isinstance(strategy, type):
        name = strategy.__name__
        raise StrategyError(f"{noun} {name} is a class; write {name}()")
    cls = type(strategy)
    if "<locals>" in cls.__qualname__ or not is_dataclass(strategy):
        raise StrategyError(
            f"{noun} {cls.__qualname__} has to be a dataclass defined at the top of a module, so that "
            "a resumed study finds it again"
        )
    options = {f.name: getattr(strategy, f.name) for f in fields(strategy) if f.init}
    changed = {
        f.name: options[f.name]
        for f in fields(strategy)
        if f.init and (f.default is MISSING or options[f.name] != f.default)
    }
    if cls.__module__.startswith(f"{package}."):
        return Strategy(cls.__module__.rpartition(".")[2], dict(plain(changed)))
    allow_strategy(cls)
    return Strategy(_path_of(cls), dict(plain(changed)))


def _find(name: str, package: str, attribute: str, group: str, noun: str) -> Callable[..., Any]:
    if name.isidentifier() and name in {
        m.name for m in iter_modules(import_module(package).__path__)
    }:
        own: Callable[..., Any] = getattr(import_module(f"{package}.{name}"), attribute)
        return own
    for entry in entry_points(group=group):
        if entry.name == name:
            installed: Callable[..., Any] = entry.load()
            return installed
    if name in _allowed:
        return _allowed[name] or _import(name, noun)
    if ":" in name:
        shown = shorten(name)
        raise StrategyNotAllowed(
            f"{noun} {shown!r} is Python code that the study or job file names; it is not run unless you allow "
            f"it: --allow-import {shown} on the command line, tunesmith.allow_strategy({shown!r}) in Python "
            f"(a {noun} passed as an object is allowed as it is)"
        )
    raise StrategyError(
        f"there is no {noun} {shorten(name)!r}{did_you_mean(name, names(package, group))}"
    )


def _path_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _import(name: str, noun: str) -> Callable[..., Any]:
    """What an import path names. Raises StrategyError."""
    module, _, path = name.partition(":")
    try:
        target: Any = import_module(module)
        for part in path.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        raise StrategyError(f"{noun} {name!r} cannot be imported: {error}") from error
    if not callable(target):
        raise StrategyError(f"{noun} {name!r} is no class")
    factory: Callable[..., Any] = target
    return factory
