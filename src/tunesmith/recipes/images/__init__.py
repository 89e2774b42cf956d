"""The recipe for images: a convolutional network, found and trained (needs PyTorch and Pillow).

fitted = images.fit("photos", time="10m")
print(images.predict("photos-model", "new-photos"))
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.recipes.images.fitting import fit
    from tunesmith.recipes.images.model import Fitted, load, predict

_HOMES = {"Fitted": "model", "fit": "fitting", "load": "model", "predict": "model"}
_NEEDED = {"PyTorch": "torch", "Pillow": "PIL"}

__all__ = ["Fitted", "fit", "load", "predict"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunesmith.recipes.images' has no attribute {name!r}")
    missing = [shown for shown, module in _NEEDED.items() if find_spec(module) is None]
    if missing:
        from tunesmith.core.errors import JobError

        raise JobError(
            f"the recipe 'images' needs {' and '.join(missing)}: pip install 'tunesmith[images]'"
        )
    return getattr(import_module(f"tunesmith.recipes.images.{_HOMES[name]}"), name)
