"""From a strategy's name to the strategy: our own files, installed packages, or an import path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any

from tunesmith.core.errors import StrategyError, did_you_mean
from tunesmith.core.space.parameter import plain
from tunesmith.core.study import Strategy


def names(package: str, group: str) -> list[str]:
    """Every name that `make` knows: the files of `package`, and the entry points of `group`."""
    own = [m.name for m in iter_modules(import_module(package).__path__)]
    return sorted({*own, *(entry.name for entry in entry_points(group=group))})


def make(strategy: Strategy, *, package: str, attribute: str, group: str, noun: str) -> Any:
    """The strategy: ``attribute`` of the file ``package/name.py``, the entry point `name` of `group`,
    or ``module:Class``; called with the options. Raises StrategyError."""
    factory = _find(strategy.name, package, attribute, group, noun)
    try:
        return factory(**strategy.options)
    except (TypeError, ValueError) as error:
        known = [f.name for f in fields(factory)] if is_dataclass(factory) else []
        for option in strategy.options:
            if known and option not in known:
                raise StrategyError(
                    f"{noun} {strategy.name!r} has no option {option!r}{did_you_mean(option, known)}"
                ) from None
        raise StrategyError(f"{noun} {strategy.name!r}: {error}") from error


def describe(strategy: Any, *, package: str, noun: str) -> Strategy:
    """The name and options under which `make` finds this object's class again."""
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
    return Strategy(f"{cls.__module__}:{cls.__qualname__}", dict(plain(changed)))


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
    if ":" in name:
        module, _, path = name.partition(":")
        try:
            found: Any = import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise StrategyError(f"{noun} {name!r} cannot be imported: {error}") from error
        imported: Callable[..., Any] = found
        return imported
    raise StrategyError(f"there is no {noun} {name!r}{did_you_mean(name, names(package, group))}")
