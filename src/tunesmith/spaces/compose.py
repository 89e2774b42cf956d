"""What ready-made spaces share: to override parameters, to join spaces, and to make branches of them.

A parameter of the branch ``lightgbm`` is called ``lightgbm.num_leaves``; `part` gives a branch's own
config back. Conditions and relations are renamed with the parameters that they name.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from tunesmith.core.errors import SpaceError, did_you_mean
from tunesmith.core.space.parameter import Fixed, Group, Parameter, parameter_from_dict
from tunesmith.core.space.space import RELATIONS, Config, Space


def overridden(space: Space, overrides: Mapping[str, Any]) -> Space:
    """`space` with other parameters of the same names; None takes one away.

    What only belonged to values that an override leaves out goes with them, and so does a relation
    that names a parameter that is gone. Raises SpaceError for a name that the space does not have,
    and for a parameter that depends on one that is gone.
    """
    parameters: dict[str, Parameter] = dict(space.parameters)
    for name, wanted in overrides.items():
        if name not in parameters:
            raise SpaceError(
                f"this space has no {name!r} to override{did_you_mean(name, parameters)}; add "
                "parameters of your own with spaces.joined(...)"
            )
        if wanted is None:
            del parameters[name]
            continue
        parameter = parameter_from_dict(name, wanted)
        old = parameters[name]
        spec = _dict(parameter)
        for key in ("when", "group"):  # an override changes the values, not where they belong
            if getattr(parameter, key) is None and getattr(old, key) is not None:
                spec[key] = _dict(old)[key]
        parameters[name] = parameter_from_dict(name, spec)
    parameters = _reachable(parameters)
    for name in parameters:
        condition = space.condition(name)
        gone = () if condition is None else condition.parents - parameters.keys()
        if gone:
            raise SpaceError(
                f"{name} is active only where {', '.join(sorted(gone))} has certain values; take it "
                f"away, too ({name}=None), or give {', '.join(sorted(gone))} a fixed value"
            )
    changed = Space(parameters)
    for relation in space.relations:
        if relation.names <= parameters.keys():
            changed.require(relation.text)
    return changed


def _reachable(parameters: dict[str, Parameter]) -> dict[str, Parameter]:
    """Without those whose condition asks for a value that their parent no longer has."""
    merged: dict[str, Parameter] = {}
    gone: set[str] = set()
    pending = dict(parameters)
    while pending:
        settled = False
        for name, parameter in list(pending.items()):
            when = parameter.when if isinstance(parameter.when, Mapping) else {}
            if any(parent in pending and parent != name for parent in when):
                continue
            settled = True
            del pending[name]
            left = {
                parent: _possible(values, parameters[parent])
                for parent, values in when.items()
                if parent in parameters
            }
            if any(not values or parent in gone for parent, values in left.items()):
                gone.add(name)
            elif any(len(values) < len(_listed(when[parent])) for parent, values in left.items()):
                spec = _dict(parameter) | {"when": {**when, **left}}
                merged[name] = parameter_from_dict(name, spec)
            else:
                merged[name] = parameter
        if not settled:  # a cycle, which the space will name
            return parameters
    return {name: merged[name] for name in parameters if name in merged}


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple, set, frozenset)) else [values]


def _possible(values: Any, parent: Parameter) -> list[Any]:
    return [value for value in _listed(values) if parent.problem(value) is None]


def joined(*spaces: Space, **parameters: Any) -> Space:
    """All parameters and relations of several spaces, and more parameters, in one space.

    Raises SpaceError if two have a parameter of the same name.
    """
    merged: dict[str, Any] = {}
    for more in (*(space.parameters for space in spaces), parameters):
        for name, parameter in more.items():
            if name in merged:
                raise SpaceError(
                    f"two of the spaces have a parameter {name!r}; put them into spaces.branches(...), "
                    "which prefixes their names, or take one away"
                )
            merged[name] = parameter
    together = Space(merged)
    for space in spaces:
        for relation in space.relations:
            together.require(relation.text)
    return together


def branches(
    by: str,
    spaces: Mapping[str, Space],
    *,
    default: str | None = None,
    group: Group | None = "model",
) -> Space:
    """One space over several: the choice `by` says which of `spaces` a config is of.

    >>> from tunesmith import Float
    >>> both = branches("model", {"ridge": Space(l2=Float(0, 1)), "mean": Space()})
    >>> part({"model": "ridge", "ridge.l2": 0.5}, "ridge")
    {'l2': 0.5}
    """
    if not spaces:
        raise SpaceError(f"branches({by!r}, {{}}) has no branch; name at least one space")
    chosen: dict[str, Any] = {"choice": list(spaces)}
    if default is not None:
        chosen["default"] = default
    if group is not None:
        chosen["group"] = group
    spec: dict[str, Any] = {by: chosen}
    relations: list[str] = []
    for branch, space in spaces.items():
        names = {name: f"{branch}.{name}" for name in space.parameters}
        for name, parameter in space.parameters.items():
            changed = _dict(parameter)
            if parameter.when is None:
                changed["when"] = {by: branch}
            elif isinstance(parameter.when, str):
                changed["when"] = renamed(parameter.when, names)
            else:
                changed["when"] = {names[n]: v for n, v in _dict(parameter)["when"].items()}
            spec[names[name]] = changed
        relations += [renamed(relation.text, names) for relation in space.relations]
    return Space.from_dict({**spec, RELATIONS: relations} if relations else spec)


def part(config: Mapping[str, Any], branch: str) -> Config:
    """The parameters of `branch` in a config of `branches`, without the branch's name."""
    start = f"{branch}."
    return {name[len(start) :]: v for name, v in config.items() if name.startswith(start)}


def renamed(expression: str, names: Mapping[str, str]) -> str:
    """A condition or relation in which parameters have other names."""
    tree = ast.parse(expression, mode="eval")
    return ast.unparse(_Renamer(names).visit(tree))


class _Renamer(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(self._names.get(node.id, node.id))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        dotted = ast.unparse(node)
        return ast.Name(self._names.get(dotted, dotted))


def _dict(parameter: Parameter) -> dict[str, Any]:
    """A parameter's dict form, a bare fixed value's too."""
    form = parameter.to_dict()
    if isinstance(parameter, Fixed) and not (isinstance(form, dict) and "value" in form):
        return {"value": form}
    return dict(form)
