"""The space that a study's trials have asked for so far, with the conditions that tell what each asked for: see `core.asking`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tunesmith.core import events
from tunesmith.core.asking import differs, same
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Parameter, parameter_from_dict
from tunesmith.core.space.rules import replace_when, rule
from tunesmith.core.space.space import Config, Space
from tunesmith.core.trial import CODES, State

#: Conditions are found in so many trials at most, the newest.
_EVIDENCE: Final = 5000
#: Trials that have come far enough to have asked for all they need, and those that may have broken off before.
_WHOLE: Final = (CODES[State.COMPLETED], CODES[State.STOPPED])
_BROKEN_OFF: Final = CODES[State.FAILED]


def conflict(ledger: Ledger, e: events.Asked) -> str:
    """That a trial asks for a parameter otherwise than others did, where that is so; else empty. Another version of the
    program may: then the space is edited."""
    version, spec = int(ledger.table.version[e.trial]), ledger.spec
    metrics = {objective.metric for objective in spec.objectives}
    for name, declaration in e.parameters.items():
        if name in metrics and any(name in c.expression.names for c in spec.constraints):
            return f"{name!r} is an objective's metric, which a constraint names: give the parameter another name"
        known = ledger.asking.declared.get(name)
        if known is None or known.version != version or same(known.declaration, declaration):
            continue
        return differs(name, known.declaration, declaration, f"trial {known.trial}")
    return ""


def learned(ledger: Ledger, number: int, config: Config, state: State) -> dict[str, Any] | None:
    """The space, in the form of `Space.to_dict`, when trial `number` has ended and asked for `config`; None where it says
    that already. O(names), and O(trials) where it does not."""
    space, asking = ledger.spec.space, ledger.asking
    whole = CODES[state] in _WHOLE
    active = space.active(config)
    wrong = {n for n in config if n in asking.declared and (n not in active or n in asking.changed)}
    if whole:
        for name in active - config.keys():
            if name in asking.declared and (
                space.condition(name) is not None or not _missed(ledger, name)
            ):
                wrong.add(name)
    if not wrong:
        return None
    return _edited(ledger, {**_ended(ledger), number: (config, whole)}, wrong)


def _missed(ledger: Ledger, name: str) -> bool:
    """Whether an ended trial did not ask for `name`: no rule was found for it then."""
    table = ledger.table
    return any(
        table.state[i] in _WHOLE and not table.aged[i] and name not in table.own[i]
        for i in range(table.size - 1, max(-1, table.size - 1 - _EVIDENCE), -1)
    )


def _ended(ledger: Ledger) -> dict[int, tuple[Config, bool]]:
    """What trials that have ended asked for, and whether they have come to ask for all."""
    table, ended = ledger.table, {}
    for i in range(max(0, table.size - _EVIDENCE), table.size):
        state = table.state.item(i)
        if (state in _WHOLE or state == _BROKEN_OFF) and not table.aged[i]:
            ended[i] = (table.own[i], state in _WHOLE)
    return ended


def _edited(
    ledger: Ledger, ended: Mapping[int, tuple[Config, bool]], wrong: set[str]
) -> dict[str, Any]:
    """The space in which the conditions of those in `wrong` are found anew."""
    space, asking = ledger.spec.space, ledger.asking
    names = [*space, *(n for n in asking.declared if n in wrong and n not in space)]
    place = {name: k for k, name in enumerate(asking.declared)}
    parameters: dict[str, Parameter] = {}
    for name in names:
        new = name not in space or name in asking.changed
        if new and name in asking.declared:
            parameters[name] = parameter_from_dict(name, asking.declared[name].declaration)
        else:
            parameters[name] = space[name]
    for name in (wrong | asking.changed) & place.keys() & parameters.keys():
        having = [config for config, _ in ended.values() if name in config]
        lacking = [config for config, whole in ended.values() if whole and name not in config]
        before = {
            n: parameters[n]
            for n in sorted(parameters, key=lambda n: place.get(n, -1))
            if place.get(n, -1) < place[name]
        }
        when = rule(having, lacking, before) if having else None
        parameters[name] = replace_when(parameters[name], when or None)
    made = Space(parameters)
    for relation in space.relations:
        made.require(relation.text)
    return made.to_dict()
