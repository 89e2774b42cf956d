"""Hyperparameters as SageMaker's clients write them: texts. Imported by each training, so it imports nothing."""

from __future__ import annotations

import json
from typing import Any


def plain(text: str) -> str:
    """A hyperparameter as a program gets it: version 2 of the SDK writes texts as JSON, in quotes."""
    value = parsed(text)
    return value if isinstance(value, str) else text


def parsed(text: str) -> Any:
    """A hyperparameter's value. A text may have been quoted several times: a tuner that is attached quotes it once more."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, str):
        return parsed(value) if value[:1] == value[-1:] == '"' and len(value) > 1 else value
    return value if not isinstance(value, float) or value == value else text
