"""The HTML report of a study: one self-contained file, for readers who do not tune for a living."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from tunesmith.analysis import (
    advice,
    appendix,
    constraints,
    contours,
    findings,
    fronts,
    parallel,
    parameters,
    progress,
)
from tunesmith.analysis.appendix import STATES, group_of, range_of
from tunesmith.analysis.certainty import Certainty, certainty, recommended, worth_of_best
from tunesmith.analysis.findings import listed
from tunesmith.analysis.importance import Importance, importance
from tunesmith.analysis.landscape import landscape
from tunesmith.analysis.page import (
    Drawings,
    bullets,
    copyable,
    escape,
    folded,
    page,
    paragraphs,
    table,
    tiles,
)
from tunesmith.analysis.parameters import PREDICTED
from tunesmith.analysis.style import GROUP_COLOURS, NAMES, NO_GROUP, Value, plain
from tunesmith.analysis.trials import CROSSES, TrialArrays, brief, show
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count, show_number, show_seconds
from tunesmith.core.space.parameter import GROUPS, Choice, Fixed, Parameter
from tunesmith.core.strategy import Outlook
from tunesmith.core.trial import State
from tunesmith.files import write_text

#: How far the outlook looks.
AHEAD: Final = 20
#: Slices of so many parameters, the most important ones.
SLICES: Final = 6
#: Rows of the table of the best.
ROWS: Final = 10
#: Parameters in it.
COLUMNS: Final = 12

Section = tuple[str, str, str]


def write_report(ledger: Ledger, path: str | os.PathLike[str], model: str = "") -> Path:
    """Write the report of a study to `path`, whole or not at all; `model` as for `report`. Raises OSError."""
    target = Path(path)
    write_text(target, report(ledger, model))
    return target


def report(ledger: Ledger, model: str = "") -> str:
    """The report of a study as HTML: one file, which loads nothing from anywhere.

    `model` is for recipes, which search a space of their own: how good the model is that came of it.
    A study of 10,000 trials takes some 1 s and 0.6 MB: figures show a part of the trials, and say which.
    """
    from tunesmith.version import __version__

    parts = Draft(ledger, model).parts()
    foot = f"Written by tunesmith {escape(__version__)} on {time.strftime('%d %B %Y at %H:%M')}."
    return page(parts.title, parts.head, parts.sections, foot, parts.tips)


class Parts(NamedTuple):
    """What a report is made of; all but the title is HTML, and `tips` is JSON."""

    title: str
    head: str
    sections: list[Section]
    tips: str


class Draft:
    """A report as far as it is written: what a section needs is worked out when that one is written. Of a study to which
    nothing happens meanwhile."""

    def __init__(self, ledger: Ledger, model: str = "") -> None:
        self._trials = TrialArrays(ledger, model)
        self._drawings = Drawings()
        self._contents = list(self._table())
        self._written: list[Section] = []

    def parts(self, first: int | None = None) -> Parts:
        """All of it; or its `first` sections, and of the others nothing but their headings."""
        # in their order, in which figures are numbered
        for anchor, heading, write in self._contents[len(self._written) : first]:
            self._written.append((anchor, heading, write()))
        rest = [
            (anchor, heading, "") for anchor, heading, _ in self._contents[len(self._written) :]
        ]
        title = f"{self._trials.ledger.spec.name}: {findings.headline(self._trials)}"
        return Parts(title, _head(self._trials), self._written + rest, self._drawings.json())

    @cached_property
    def _sure(self) -> Certainty | None:
        return certainty(self._trials)

    @cached_property
    def _importances(self) -> Importance | None:
        return importance(self._trials.history) if len(self._trials.done) else None

    @cached_property
    def _outlook(self) -> Outlook | None:
        from tunesmith.search import look_ahead

        trials = self._trials
        return look_ahead(trials.history, AHEAD) if trials.single and len(trials.done) else None

    def _table(self) -> Iterator[tuple[str, str, Callable[[], str]]]:
        trials, drawings = self._trials, self._drawings
        some, any_best = len(trials.done) > 0, len(trials.feasible) > 0
        several, single = len(trials.done) > 1, trials.single
        if any_best and single:
            yield "winner", "What won", lambda: _winner(trials, self._sure)
            sentences = [
                *findings.gains(trials),
                *findings.sureness(trials, self._sure, self._importances),
            ]
            if sentences:
                yield "sure", "By how much, and how sure", lambda: bullets(sentences)
        if any_best and not single:
            yield "front", "What no other trial beats", lambda: _front(trials, drawings)
        if some and trials.ledger.spec.constraints:
            yield "held", "What had to hold", lambda: constraints.section(trials)
        yield "next", "What to try next", lambda: bullets(self._steps())
        if several:
            mattered = "What mattered"
            yield "mattered", mattered, lambda: _mattered(trials, self._importances, drawings)
        if trials.size > 1 and (some or len(trials.of(State.STOPPED))):
            yield "went", "How the search went", lambda: _went(trials, drawings)
        if several and len(trials.ledger.spec.space):
            best = "The best configs" if single and any_best else "Configs"
            yield "configs", best, lambda: _configs(trials, self._importances, drawings)
        if trials.size:
            yield "cost", "What it cost", lambda: appendix.cost(trials, drawings)
        yield "tuned", "What was tuned", lambda: appendix.tuned(trials)
        yield "again", "How to run it again", lambda: appendix.again(trials)

    def _steps(self) -> list[str]:
        return advice.next_steps(self._trials, self._importances, self._outlook, self._sure)


# -- the top ----------------------------------------------------------------------------------


def _head(trials: TrialArrays) -> str:
    ledger = trials.ledger
    goals = listed(
        [
            f"{o.metric} as {'small' if o.sign > 0 else 'large'} as possible"
            for o in ledger.spec.objectives
        ]
    )
    eyebrow = f"Study {ledger.spec.name}: {goals}"
    pairs = []
    if trials.best is not None:
        value = show_number(trials.values(np.array([trials.best]))[0])
        label = f"{trials.best_name} {brief(trials.metric, 26)}"
        if (worth := worth_of_best(trials)) is None:
            pairs.append((f"{label} (trial {trials.best})", value))
        else:
            observed = trials.values(np.array([trials.incumbent]))[0]
            ends = f"{show_number(worth.low, 4)} to {show_number(worth.high, 4)}"
            pairs.append((f"{label} on average (trial {trials.best})", show_number(worth.value)))
            pairs.append(("with a probability of 90 %", ends))
            pairs.append(
                (f"best value (trial {trials.incumbent}), partly luck", show_number(observed))
            )
        if trials.confirmed:
            pairs.append(("when run again, on average", show_number(trials.confirmed[0].mean)))
    elif len(trials.feasible):
        for k, objective in enumerate(ledger.spec.objectives[:3]):
            losses = trials.values(trials.feasible, k) * objective.sign
            edge = "lowest" if objective.sign > 0 else "highest"
            pairs.append(
                (
                    f"{edge} {brief(objective.metric, 26)}",
                    show_number(losses.min() * objective.sign),
                )
            )
    pairs.append(("trials", f"{trials.counted:,}"))
    if ledger.spec.constraints and len(trials.done):
        share = f"{len(trials.feasible):,} of {len(trials.done):,}"
        pairs.append(("of the completed, keep the constraints", share))
    pairs.append(("from beginning to end", show_seconds(ledger.worked_s)))
    if ledger.compute_time_s:
        pairs.append(("compute time of all trials", show_seconds(ledger.compute_time_s)))
    if spent := ledger.spec.limits.spent(ledger.money):
        amount, _, unit = spent.rpartition(" ")
        pairs.append((f"{unit} spent", amount))
    ended = ledger.ended.detail if ledger.ended else ""
    state = f"It ended: {ended}." if ended else "It has not ended yet." if trials.size else ""
    if trials.size:
        state = f"{_states(trials)}. {state}"
    lead = (
        f"The model that came of it: {trials.model}. Below is the search that chose it."
        if trials.model
        else ""
    )
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(findings.headline(trials))}</h1>'
        f"{tiles(pairs) if trials.size else ''}{paragraphs([p for p in (lead, state) if p])}"
    )


def _states(trials: TrialArrays) -> str:
    """``84 trials completed, 10 stopped early, 6 failed``."""
    counts = trials.ledger.counts
    words = [f"{counts[state]:,} {name}" for state, name in STATES.items() if counts[state]]
    sentence = listed(words).capitalize()
    copies = len(trials.ledger.forks)
    if copies:
        verb = "is a copy" if copies == 1 else "are copies"
        sentence += (
            f"; {copies:,} of them {verb} in which the runs of a population go on, so that there are "
            f"{count(trials.counted, 'trial')} in all"
        )
    return sentence


# -- what won ---------------------------------------------------------------------------------


def _winner(trials: TrialArrays, sure: Certainty | None) -> str:
    """The one recommendation: the best trial, or the one whose config is better on average, and why."""
    number = recommended(trials, sure)
    assert trials.best is not None
    assert number is not None
    lead = f"Trial {number}, with this config:"
    if number != trials.incumbent:
        lead = (
            f"Trial {number}, with this config. Trial {trials.incumbent} reached the best value, but values differ from run "
            f"to run, and on average trial {number} is expected to be better:"
        )
    if number != trials.best:
        lead = (
            f"Recommended is the config of trial {number}. Trial {trials.best} is the best of those whose checkpoints stay "
            f"(keep={trials.ledger.spec.limits.keep}), but on average trial {number} is expected to be better:"
        )
    return paragraphs([lead]) + _config(trials, number)


def _config(trials: TrialArrays, number: int) -> str:
    """A trial's config as a table, and to copy from."""
    from tunesmith.run.arguments import arguments
    from tunesmith.run.program import command_line

    ledger, config = trials.ledger, trials.ledger.config(number)
    attempt, seed = ledger.attempt(number), ledger.seed(number)
    command = command_line(ledger.spec.job, config, number, attempt, seed)
    words = shlex.join(arguments(config))
    json_of = copyable("As JSON", _lines(config))
    return (
        _config_table(trials, config)
        + (copyable("As the job's command", command) if command else "")
        + (copyable("As arguments of a command", words) if words and not command else "")
        + (folded("As JSON", json_of) if len(config) > 12 else json_of)
    )


def _lines(config: dict[str, object]) -> str:
    """A config as JSON, a parameter a line."""
    lines = [f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in config.items()]
    return "{\n" + ",\n".join(lines) + "\n}" if lines else "{}"


def _config_table(trials: TrialArrays, config: dict[str, object]) -> str:
    """A config by group, each value beside the range it is from."""
    space = trials.ledger.spec.space
    by_group: dict[str, list[str]] = {}
    for name in config:
        by_group.setdefault(group_of(space.parameters.get(name)), []).append(name)
    order = [g for g in (*GROUPS, NO_GROUP) if g in by_group]
    rows = ""
    for group in order:
        if order != [NO_GROUP]:
            dot = f'<span class="dot {NAMES[GROUP_COLOURS[group]]}"></span>'
            rows += f'<tr class="group"><td colspan="3">{dot}{escape(group)}</td></tr>'
        for name in by_group[group]:
            value = escape(show(config[name], 6))
            among = escape(range_of(space.parameters.get(name)))
            rows += f'<tr><td>{escape(name)}</td><td><b>{value}</b></td><td class="soft">{among}</td></tr>'
    return (
        '<div class="scroll"><table class="config"><thead><tr><th>parameter</th><th>value</th><th>searched</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _front(trials: TrialArrays, drawings: Drawings) -> str:
    members, objectives = trials.front, trials.ledger.spec.objectives
    members = members[np.argsort(trials.own_losses[members], kind="stable")]
    of = "that keep the constraints" if len(trials.broken) else "completed ones"
    cannot = (
        f"{count(len(members), 'trial').capitalize()} of the {len(trials.feasible):,} {of} cannot be improved in one "
        "objective without losing in another. Choose by what matters more to you."
    )
    sentences = [cannot]
    if trials.knee is not None:
        words = fronts.standing(trials.ledger, trials.knee)
        sentences.append(f"A good place to begin looking is the knee, {words}.")
    if trials.best is not None:
        words = fronts.standing(trials.ledger, trials.best)
        sentences.append(
            f"By the rule of this study ({trials.ledger.spec.prefer}) the best is {words}."
        )
    parts = [paragraphs(sentences)]
    if len(objectives) > 2:
        parts.append(drawings.add(parallel.objectives(trials)))
    pairs = [(0, 1)] if len(objectives) != 3 else [(0, 1), (0, 2), (1, 2)]
    if len(objectives) == 2:
        parts.append(drawings.add(fronts.front(trials), heading=False))
    else:
        shown = [drawings.add(fronts.front(trials, pair), small=True) for pair in pairs]
        caption = fronts.front(trials)["layout"]["title"]["subtitle"]["text"]
        words = caption.split(". ", 1)[1]
        parts.append(f'<p class="caption">{escape(plain(words))}</p>')
        parts.append(f'<div class="pair">{"".join(shown)}</div>')
    marked = [n for n in (trials.best, trials.knee) if n is not None]
    some = members[np.linspace(0, len(members) - 1, min(len(members), ROWS)).astype(int)]
    chosen = [n for n in members.tolist() if n in {*some.tolist(), *marked}]
    parts.append(_rows(trials, chosen, _columns(trials, chosen)))
    if trials.best is not None:
        parts.append(f"<h3>The preferred, trial {trials.best}</h3>")
        parts.append(_config(trials, trials.best))
    elif trials.knee is not None:
        parts.append(f"<h3>The knee, trial {trials.knee}</h3>")
        parts.append(_config(trials, trials.knee))
    return "".join(parts)


# -- what mattered, how it went ---------------------------------------------------------------


def _mattered(trials: TrialArrays, importances: Importance | None, drawings: Drawings) -> str:
    if trials.single:
        return _mattered_for(trials, importances, drawings, SLICES)
    parts = []
    for k, objective in enumerate(trials.ledger.spec.objectives):
        view = trials.by(k)
        own = importance(view.history, k) if k else importances
        parts.append(f"<h3>For {escape(objective.metric)}</h3>")
        parts.append(_mattered_for(view, own, drawings, 2))
    return "".join(parts)


def _mattered_for(
    trials: TrialArrays, importances: Importance | None, drawings: Drawings, most: int
) -> str:
    """What mattered for one objective, with slices of the `most` important parameters."""
    parts = [paragraphs(findings.what_mattered(trials, importances))]
    if importances is None:
        return parts[0]
    single = trials.single
    if len(importances.groups) > 1 and single:
        parts.append(drawings.add(parameters.importance_bars(importances, groups=True)))
    parts.append(drawings.add(parameters.importance_bars(importances), heading=single))
    # a slice of a few dots shows nothing
    seen = np.isfinite(trials.ledger.column("numbers")[trials.done]).sum(axis=0)
    known = dict(zip(trials.ledger.spec.space.tunables, seen.tolist(), strict=True))
    names = [s.name for s in importances.parameters if s.value >= 0.01 and known[s.name] >= 4][
        :most
    ]
    if names:
        model = landscape(trials) if single else None
        slices = [
            drawings.add(parameters.slice_of(trials, name, model), small=True) for name in names
        ]
        if single:
            parts.append("<h3>The most important ones, one by one</h3>")
        crosses = f"{CROSSES} " if len(trials.crosses) else ""
        parts.append(
            f'<p class="caption">Each dot is a completed trial: its {escape(trials.metric)}, and which value it had. '
            f"{'' if trials.best is None else f'The diamond is the {trials.best_name} one. '}{crosses}"
            f"{'' if model is None else f'{PREDICTED.format(model.trial)} '}"
            f"{_faint(trials)}{_far(trials)}{escape(trials.thinned)}</p>"
        )
        parts.append(f'<div class="pair">{"".join(slices)}</div>')
        if model is not None and len(names) > 1:
            parts.append(drawings.add(contours.contour(trials, names[0], names[1], model)))
    return "".join(parts)


def _faint(trials: TrialArrays) -> str:
    return f"{trials.faint} " if len(trials.forecasts[0]) else ""


def _far(trials: TrialArrays) -> str:
    clipped = Value(trials.values(trials.done), trials.sign).clipped
    return "Values far worse than the others are drawn at the edge. " if clipped else ""


def _went(trials: TrialArrays, drawings: Drawings) -> str:
    parts = []
    if not trials.single and len(trials.feasible):
        parts.append(drawings.add(fronts.hypervolume(trials)))
        if len(trials.ledger.spec.objectives) == 2:
            parts.append(drawings.add(fronts.attainment(trials)))
    parts.append(drawings.add(progress.best_so_far(trials)))
    if trials.single and (
        trials.ledger.spec.limits.parallel > 1 or trials.ledger.compute_time_s > 1.0
    ):
        parts.append(drawings.add(progress.best_so_far(trials, "time")))
    curves = progress.curves(trials)
    if curves["data"]:
        parts.append(drawings.add(curves))
    return "".join(parts)


def _configs(trials: TrialArrays, importances: Importance | None, drawings: Drawings) -> str:
    order = tuple(s.name for s in importances.parameters) if importances else ()
    single = trials.single
    top = (trials.ranked if len(trials.feasible) else trials.done)[:ROWS].tolist()
    if trials.best is not None and trials.best in top:
        top = [trials.best, *(n for n in top if n != trials.best)]
    notes, ten = "", f"<h3>The {count(len(top), 'best trial').removeprefix('1 ')}</h3>"
    if not len(trials.feasible):
        ten = f"<h3>{count(len(top), 'trial').capitalize()} of {len(trials.done):,}</h3>"
        notes = "<p>None of them keeps the constraints.</p>"
    elif not single:
        notes = f"<p>By {escape(trials.metric)}, the first objective; those of the front come first.</p>"
        ten = f"<h3>{count(len(top), 'trial').capitalize()} of {len(trials.feasible):,}</h3>"
    elif len(trials.broken):
        notes = "<p>Of those that keep the constraints.</p>"
    figure = drawings.add(parallel.parallel(trials, order))
    names = _columns(trials, top, order)
    every = [name for name in trials.ledger.spec.space.tunables if name in names]
    if len(every) < len(_used(trials, top)):
        notes += f"<p>Of the parameters that these use, the {len(every)} that explain most are shown.</p>"
    return (
        notes + ten + _rows(trials, top, every, first=single and len(trials.feasible) > 0) + figure
    )


def _columns(trials: TrialArrays, numbers: list[int], order: tuple[str, ...] = ()) -> list[str]:
    """The tuned parameters that some of these trials use, `COLUMNS` at most: those in `order` first."""
    used = _used(trials, numbers)
    place = {name: k for k, name in enumerate(order)}
    return sorted(used, key=lambda name: place.get(name, len(place)))[:COLUMNS]


def _used(trials: TrialArrays, numbers: list[int]) -> list[str]:
    used = {name for number in numbers for name in trials.ledger.config(number)}
    return [name for name in trials.ledger.spec.space.tunables if name in used]


def _rows(trials: TrialArrays, numbers: list[int], names: list[str], *, first: bool = False) -> str:
    objectives = [o.metric for o in trials.ledger.spec.objectives]
    marks = {trials.best: " preferred", trials.knee: " knee"} if not trials.single else {}
    rows = []
    for number in numbers:
        config = trials.ledger.config(number)
        values = trials.ledger.values(number) or ()
        rows.append(
            [
                f"{number}{marks.get(number, '')}",
                *map(show_number, values),
                show_seconds(float(trials.ledger.column("wall_s")[number])),
            ]
            + [brief(show(config[name], 4), 28) if name in config else "" for name in names]
        )
    columns = [brief(c, 28) for c in ("trial", *objectives, "took", *names)]
    numeric = [n for n in names if _numeric(trials.ledger.spec.space[n])]
    return table(
        columns,
        rows,
        right=[brief(c, 28) for c in ("trial", *objectives, "took", *numeric)],
        tight=True,
        first=first,
    )


def _numeric(parameter: Parameter) -> bool:
    if isinstance(parameter, Choice):
        return all(type(value) in (int, float) for value in parameter.values)
    return not isinstance(parameter, Fixed)
