"""The rows of a search in a file, for the processes of its trials."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.columns import Column
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.metrics import Aim
from tunesmith.recipes.tabular.roles import Bonds, Roles


def save(path: Path, data: Data) -> None:
    """Write the rows for the trials' processes; as a whole or not at all. Raises JobError."""
    arrays: dict[str, Any] = (
        {
            "data": data.x.data,
            "indices": data.x.indices,
            "indptr": data.x.indptr,
            "shape": data.x.shape,
        }
        if data.sparse
        else {"x": data.x}
    )
    about = {
        "name": data.name, "task": data.task, "target": data.target, "classes": list(data.classes),
        "columns": [c.to_dict() for c in data.columns], "roles": data.roles.to_dict(),
        "aim": asdict(data.aim),
    }  # fmt: skip
    arrays |= {f"bond_{name}": values for name, values in data.bonds.arrays().items()}
    draft = path.with_name(f".{path.name}.draft.npz")
    try:
        np.savez(draft, y=data.y, about=np.array(json.dumps(about)), **arrays)
        draft.replace(path)
    except OSError as error:
        raise JobError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)


def restore(path: Path) -> Data:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        if "x" in file:
            x: Any = file["x"]
        else:
            from scipy.sparse import csr_matrix

            x = csr_matrix(
                (file["data"], file["indices"], file["indptr"]), shape=tuple(file["shape"])
            )
        columns = tuple(map(Column.from_dict, about["columns"]))
        bonds = Bonds(*(file.get(f"bond_{name}") for name in ("group", "time", "weight")))
        return Data(
            about["name"],
            x,
            file["y"],
            about["task"],
            about["target"],
            columns,
            tuple(about["classes"]),
            roles=Roles.from_dict(about["roles"]),
            bonds=bonds,
            aim=Aim(about["aim"]["quantile"], tuple(map(tuple, about["aim"]["costs"]))),
        )
