"""What becomes of a study, and of its trials, when its program has changed: `on_change` and `changed`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from tunesmith.core.aging import CHANGED, DATA, DISCOUNT, Changed, data_part
from tunesmith.core.errors import StudyError
from tunesmith.core.incumbent import ranking
from tunesmith.core.ledger import Ledger
from tunesmith.core.program import Fingerprint
from tunesmith.core.space.space import Config
from tunesmith.core.trial import CODES, State

#: What becomes of a study whose program has changed.
OnChange: TypeAlias = Literal["continue", "refuse", "new"]
ON_CHANGE: Final = ("continue", "new", "refuse")
#: So many of the best of an earlier version are run again.
AGAIN: Final = 3
_WHY: Final = "one of the best of an earlier version once more"

__all__ = [
    "CHANGED",
    "ON_CHANGE",
    "Changed",
    "OnChange",
    "best_again",
    "check_on_change",
    "on_data",
    "remedy",
]


def check_on_change(on_change: str, changed: str = DISCOUNT) -> None:
    """Raise StudyError for what is none of ON_CHANGE, or of CHANGED."""
    for name, value, allowed in (
        ("on_change", on_change, ON_CHANGE),
        ("changed", changed, CHANGED),
    ):
        if value not in allowed:
            words = ", ".join(map(repr, allowed))
            raise StudyError(f"{name} is one of {words}, not {value!r}")


def on_data(program: Fingerprint, version: Any) -> Fingerprint:
    """The program on data whose version the user names (None: not named). Raises StudyError."""
    return Fingerprint({**program.parts, **data_part(version)}, program.sources)


def remedy(changed: str, again: int, *, refused: bool, command_line: bool) -> str:
    """What becomes of the old results, and what else can be done about it; `again` of their configs are run again."""
    word, name = ("{}", "--name") if command_line else ("'{}'", "name=")

    def option(name: str, value: str) -> str:
        return ("--" + name.replace("_", "-") + " " if command_line else name + "=") + word.format(
            value
        )

    go_on, new, refuse = (option("on_change", choice) for choice in ON_CHANGE)
    discount, keep, drop = (option("changed", choice) for choice in CHANGED)
    if refused:
        return (
            f"{go_on} goes on all the same, {new} begins a study of its own; or choose another "
            f"name ({name})"
        )
    own = f"{new} begins a study of its own instead, {refuse} stops here"
    if changed == "keep":
        return f"all results count together ({keep}); {own}"
    once = " once there are new ones"
    if changed == "drop":
        return f"the old results are left out{once} ({drop}); {keep} counts all together, {own}"
    tried = ""
    if again:
        tried = f", and {'the best config is' if again == 1 else f'the best {again} configs are'} run again first"
    return (
        f"the old results count as an earlier study's ({discount}): the search learns from them, the best is a new one"
        f"{once}{tried}; {keep} counts all together, {drop} forgets the old ones, {own}"
    )


def best_again(
    ledger: Ledger, program: Mapping[str, str], changed: str
) -> list[tuple[Config, str]]:
    """The best configs of earlier versions, to be run again before the first trial of a version of which there is none,
    each with why: so the search loses little where the change changed nothing, and knows soon by how much where it did."""
    if changed != DISCOUNT or not program:
        return []
    table, n = ledger.table, ledger.size
    mine = ledger.versions.index(program) + 1 if program in ledger.versions else -1
    versions = table.version[:n]
    waiting = np.flatnonzero(ledger.column("state") == CODES[State.WAITING]).tolist()
    pending = any(ledger.origin(number).why.startswith(_WHY) for number in waiting)
    if pending or (versions == mine).any():
        return []
    old = ledger.feasible() & ((versions != 0) | (DATA in program))
    old[list(ledger.confirming)] = False
    numbers = np.flatnonzero(old)
    limit = ledger.spec.limits.trials
    left = 2 * AGAIN if limit is None else limit - ledger.started_count
    room = min(AGAIN, (left + 1) // 2)  # half of what is left is for the search
    chosen: list[tuple[Config, str]] = []
    for number in numbers[ranking(table.losses[numbers])].tolist():
        config = ledger.config(number)
        if len(chosen) < room and all(config != other for other, _ in chosen):
            chosen.append((config, f"{_WHY}: trial {number}"))
    return chosen
