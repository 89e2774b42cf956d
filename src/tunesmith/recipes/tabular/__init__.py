"""The recipe for tables: several algorithms and what is done to the data, in one study.

fitted = tabular.fit("data.csv", target="price", time="10m")
print(fitted.value, fitted.predict("new.csv"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.recipes.tabular.fitting import fit
    from tunesmith.recipes.tabular.model import Fitted, load

_HOMES = {"fit": "fitting", "Fitted": "model", "load": "model"}

__all__ = ["Fitted", "fit", "load"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunesmith.recipes.tabular' has no attribute {name!r}")
    return getattr(import_module(f"tunesmith.recipes.tabular.{_HOMES[name]}"), name)
