"""What to say of an objective that asks its config for a parameter that is not there."""

from __future__ import annotations

import linecache
import re
from collections.abc import Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Final

from tunesmith.core.errors import did_you_mean, shorten

#: So many parameters are listed.
_LISTED: Final = 12


def absent_name(error: BaseException, config: Mapping[str, Any]) -> str:
    """``; the config has no 'lerning_rate'; did you mean 'learning_rate'?`` for the error of ``config["lerning_rate"]``
    or ``config.learning_rate``; "" for every other."""
    try:
        match error:
            case KeyError(args=(str() as name,)) if name not in config and _of(error, config):
                return _hint(name, config)
            case AttributeError(obj=obj, name=str() as name) if obj is config:
                if name in config:
                    return f"; the config is a dict: write config[{name!r}]"
                return _hint(name, config)
    except Exception:  # noqa: BLE001 (it looks at the user's variables, and a hint is no reason to fail)
        return ""
    return ""


def _hint(name: str, config: Mapping[str, Any]) -> str:
    nested = [known for known in config if known.startswith(f"{name}.")]
    if nested:
        return f"; the config is flat: write config[{nested[0]!r}]"
    names = list(config)
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    close = did_you_mean(name, names, listed=False)
    condition = "a parameter with a condition is there only where that holds"
    return shorten(f"; the config has no {name!r}, only {listed} ({condition}){close}", 1000)


def _of(error: BaseException, config: Mapping[str, Any]) -> bool:
    """Whether it was a config that was asked for a key: in the frame that raised, by a variable that holds one."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    frame = trace.tb_frame
    variables = [
        name
        for name, value in frame.f_locals.items()
        if value is config or (type(value) is dict and value.keys() == config.keys())
    ]
    places = islice(frame.f_code.co_positions(), trace.tb_lasti // 2, None)
    line, _, begin, end = next(places, (None, None, None, None))
    if not variables or line is None:
        return bool(variables)
    text = linecache.getline(frame.f_code.co_filename, line).encode()[begin:end].decode()
    return not text or any(re.match(rf"\W*{re.escape(name)}\b", text) for name in variables)
