"""Constraints in words: how many trials break each, and what the best does about it."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.analysis.page import paragraphs, table
from tunesmith.analysis.trials import TrialArrays, show
from tunesmith.core.constraint import values_of
from tunesmith.core.incumbent import breaches, nearest
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count


def breaking(ledger: Ledger) -> dict[str, str]:
    """By constraint, how many trials break it: ``12 of 40 completed trials``."""
    completed, numbers = breaches(ledger.table, ledger.where_counted)
    of = count(completed, "completed trial")
    return {
        constraint.text: f"{number} of {of}" if number else f"none of {of}"
        for constraint, number in zip(ledger.table.constraints, numbers.tolist(), strict=True)
    }


def sentences(ledger: Ledger) -> list[str]:
    """``12 of 40 completed trials break memory <= 4e9``."""
    completed, numbers = breaches(ledger.table, ledger.where_counted)
    if not completed:
        return []
    of = count(completed, "completed trial")
    words = []
    for constraint, number in zip(ledger.table.constraints, numbers.tolist(), strict=True):
        who = f"None of {of} breaks" if not number else f"{number:,} of {of} break"
        words.append(f"{who}{'s' * (number == 1)} {constraint.text}.")
    return words


def section(trials: TrialArrays) -> str:
    """The report's section on constraints: who breaks which, and how near the best is to them."""
    ledger = trials.ledger
    who, number = f"the {trials.best_name}", trials.best
    if not len(trials.feasible):
        who, number = "the nearest", nearest(ledger.table, ledger.where_counted)
    elif number is None and not trials.single:
        who, number = "the knee", trials.knee
    rows = [[text, broken_by] for text, broken_by in breaking(ledger).items()]
    columns = ["constraint", "broken by"]
    if number is not None:
        rows = [[*row, _standing(ledger, row[0], number)] for row in rows]
        columns.append(f"{who} has")
    lead = (
        f"{count(len(trials.feasible), 'completed trial')} of {len(trials.done):,} "
        f"keep{'s' * (len(trials.feasible) == 1)} {'it' if len(rows) == 1 else 'them all'}; only such a trial can be the best. "
        "The others count as evidence: what was learned from all of them is below."
    )
    if not len(trials.feasible):
        lead = (
            f"None of {count(len(trials.done), 'completed trial')} keeps "
            f"{'it' if len(rows) == 1 else 'them all'}, so that none is the best. "
            f"The nearest is trial {number}."
        )
    return paragraphs([lead]) + table(columns, rows)


def _standing(ledger: Ledger, text: str, number: int) -> str:
    """What a trial has of what a constraint names."""
    return ", ".join(_pairs(ledger, text, number))


def _pairs(ledger: Ledger, text: str, number: int) -> Iterator[str]:
    trial = ledger.trial(number)
    values = values_of(trial.config, trial.metrics, trial.cost)
    constraint = next(c for c in ledger.table.constraints if c.text == text)
    for name in sorted(constraint.expression.names):
        if name in values:
            yield f"{name} = {show(values[name], 4)}"
