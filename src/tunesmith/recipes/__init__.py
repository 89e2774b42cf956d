"""Built-in training programs, for whoever has data and no program: tables, and folders of images.

A recipe is a package with ``fit(data, **options)`` and ``load(folder)``, which give a `Model`.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tunesmith.core.errors import JobError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunesmith.tuning.result import Result

RECIPES: Final = ("tabular", "images")
#: Options of what is done with a model, and so none of `fit`'s: how they are written.
_LATER: Final = {
    "unreadable": "predict: model.predict(data, unreadable='missing')",
    "proba": "a model: model.predict_proba(data)",
    "allow_pickle": "load_model: load_model(folder, allow_pickle=True)",
}


class Model(Protocol):
    """What a recipe found: kept in the folder `path`, which `load_model` reads."""

    @property
    def path(self) -> Path: ...
    @property
    def about(self) -> Mapping[str, Any]:
        """What model.json says."""
        ...

    @property
    def result(self) -> Result | None:
        """The study that found it; None for a model that was loaded."""
        ...

    def summary(self) -> str:
        """What it is and how good, in a few lines."""
        ...

    def predict(self, data: Any) -> Any:
        """What it says of each row or image of `data`. Raises JobError."""
        ...

    def rows(
        self, data: Any, *, proba: bool = False, say: Callable[[str], None] | None = None
    ) -> list[dict[str, Any]]:
        """A prediction for each row or image of `data`, with probabilities if asked; `say` is told what was found.
        Raises JobError."""
        ...


def recipe_for(data: Any) -> str:
    """The recipe for some data: a folder or an ``.npz`` file is images, anything else a table."""
    if isinstance(data, (str, Path)):
        path = Path(data).expanduser()
        if path.is_dir() or path.suffix == ".npz":
            return "images"
    return "tabular"


def fit(data: Any, *, recipe: str | None = None, **options: Any) -> Model:
    """Find the best model for `data`, and fit it: docs/guides/fit.md.

    `recipe` is "tabular" or "images" (None: by what the data is); the options are those of
    `tunesmith.recipes.tabular.fit` and `tunesmith.recipes.images.fit`: ``target="price"``, ``time="10m"``,
    ``metric=..``, ``output=FOLDER``. Raises JobError for data that nothing can be learned from.
    """
    name = recipe_for(data) if recipe is None else recipe
    program = _recipe(name).fit
    known = [k for k in inspect.signature(program).parameters if k != "data"]
    for option in options:
        if option not in known:
            later = _LATER.get(option)
            instead = f"; it belongs to {later}" if later else did_you_mean(option, known)
            raise JobError(f"the recipe {name!r} has no option {option!r}{instead}")
    model: Model = program(data, **options)
    return model


def load_model(path: str | Path, *, allow_pickle: bool = False) -> Model:
    """The model in a folder that `fit` wrote. Only files of that folder are read, and none runs code, unless you
    `allow_pickle`, which a few models need. Raises JobError.
    """
    from tunesmith.recipes.output import read_about

    model: Model = _recipe(read_about(Path(path).expanduser())["recipe"]).load(
        path, allow_pickle=allow_pickle
    )
    return model


def _recipe(name: str) -> Any:
    if name not in RECIPES:
        raise JobError(f"there is no recipe {name!r}{did_you_mean(name, RECIPES)}")
    return import_module(f"tunesmith.recipes.{name}")
