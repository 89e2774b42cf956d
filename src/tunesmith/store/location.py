"""Where studies are kept when nobody says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DEFAULT_STORAGE: Final = "tunesmith.db"
STORAGE_VARIABLE: Final = "TUNESMITH_STORAGE"


def default_storage() -> Path:
    """``$TUNESMITH_STORAGE``, or ``tunesmith.db`` in the current folder."""
    return Path(os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE).expanduser()
