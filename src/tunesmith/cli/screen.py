"""The live display of `run` in a terminal: best trials, running trials, progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, cast

from rich.console import Console
from rich.text import Text

from tunesmith import streams
from tunesmith.cli.columns import GAP, Layout
from tunesmith.cli.footer import Footer
from tunesmith.cli.lines import headline, one_line, print_outlook, print_result
from tunesmith.cli.tables import show_value
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_number, show_seconds
from tunesmith.core.space.space import Space
from tunesmith.core.text import without_codes
from tunesmith.core.trial import State, Trial
from tunesmith.tuning.feed import Feed, Progress
from tunesmith.tuning.result import Result

if TYPE_CHECKING:
    from tunesmith.core.space.lattice import Count
    from tunesmith.tuning.study import Study

#: Rows of the best and of running trials.
_BEST_ROWS: Final = 5
_RUNNING_ROWS: Final = 8
#: Cells of the bar beside its text, and of the longest bar above it.
_BAR: Final = 24
_LONG_BAR: Final = 60
#: The column of parameters that have none of their own: conditional ones, and those that there is no room for.
_OTHERS: Final = "and"


class Screen:
    """Redraws at most ten times a second, and leaves the terminal as it was."""

    def __init__(self, names: Sequence[str], planned: Count | None) -> None:
        self._names = names
        self._planned = planned
        self._console = Console(file=cast(IO[str], streams.err()))
        self._footer = Footer(self._console)
        self._feed = Feed()
        self._top: list[Trial] | None = None
        #: How wide the columns were: they do not shrink, or the table would dance.
        self._least: dict[str, int] = {}

    def __enter__(self) -> Screen:
        self._footer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._footer.__exit__(kind, error, trace)

    def opened(self, study: Study) -> None:
        self._console.print(Text(headline(study, self._planned), style="bold"))

    def say(self, message: str) -> None:
        self._console.print(Text(without_codes(message), style="yellow"))

    def finish(self, result: Result) -> None:
        print_result(result)
        print_outlook(result)

    def watch(self, ledger: Ledger, now: float) -> None:
        progress = self._feed.moment(ledger, now)
        for trial, _, _ in progress.changes:
            if trial.state is State.FAILED:
                reason = one_line(str(trial.reason), 160)
                self._console.print(Text(f"trial {trial.number} failed: {reason}", style="red"))
            self._rank(trial, ledger)
        if self._top is None:
            self._top = _best(ledger)
            self._names = [name for name in self._names if name in ledger.spec.space.tunables]
        width = self._console.width
        foot = bar(progress, width)
        # less headings, a rule, what is more, and the cursor's line.
        room = max(2, self._console.height - len(foot) - 5)
        self._footer.update([*self._tables(ledger, now, width, room), *foot])

    def _rank(self, trial: Trial, ledger: Ledger) -> None:
        """Keep the best few without looking at all trials again."""
        again = trial.number in ledger.confirming  # whose value is its parent's luck
        if trial.state is not State.COMPLETED or self._top is None or again or trial.broken:
            return
        if len(ledger.spec.objectives) > 1:
            self._top = _best(ledger)
            return
        sign = ledger.spec.first_objective.sign
        ranked = [*self._top, trial]
        ranked.sort(key=lambda t: (t.value or 0.0) * sign)
        self._top = ranked[:_BEST_ROWS]

    def _tables(self, ledger: Ledger, now: float, width: int, room: int) -> list[Text]:
        """The best trials and those that run, in the same columns; some of them, if there are many."""
        running = sorted(ledger.running)
        best = (self._top or [])[: max(1, room - min(len(running), _RUNNING_ROWS, room // 2))]
        few = running[: max(1, min(_RUNNING_ROWS, room - len(best)))]
        rows = [
            *(_best_row(trial, ledger) for trial in best),
            *(_running_row(ledger.trial(number), ledger, now) for number in few),
        ]
        if not rows:
            return []
        table = _Table(ledger.spec.space, [o.metric for o in ledger.spec.objectives], self._names)
        layout, cells = table.fit(rows, width, self._least)
        lines = layout.head()
        for k, (row, shown) in enumerate(zip(rows, cells, strict=True)):
            if k == len(best):
                lines.append(Text(f"── running {'─' * max(0, layout.width - 11)}", style="dim"))
            lines.append(layout.row(shown, row.style))
        if len(running) > len(few):
            lines.append(Text(f"and {len(running) - len(few)} more that run", style="dim"))
        return lines


@dataclass(frozen=True, slots=True)
class _Row:
    """A trial in the table: what it reached, at which step and after how long, and its config."""

    number: int
    values: tuple[str, ...]
    step: str
    took: str
    config: dict[str, object]
    style: str


def _best_row(trial: Trial, ledger: Ledger) -> _Row:
    values = tuple(show_number(value) for value in trial.values or ())
    style = "bold green" if trial.number == ledger.incumbent else ""
    step = str(trial.reports[-1].step) if trial.reports else ""
    return _Row(trial.number, values, step, show_seconds(trial.cost.wall_s), trial.config, style)


def _running_row(trial: Trial, ledger: Ledger, now: float) -> _Row:
    last = ledger.judged.last(trial.number)
    reported = {} if last is None else last.metrics
    metrics = [objective.metric for objective in ledger.spec.objectives]
    values = tuple(show_number(reported[m]) if m in reported else "" for m in metrics)
    step = "" if last is None else str(last.step)
    took = show_seconds(now - ledger.started_at(trial.number))
    return _Row(trial.number, values, step, took, trial.config, "cyan")


class _Table:
    """The columns: trial, metrics, step and time are always there; parameters as far as there is room."""

    def __init__(self, space: Space, metrics: Sequence[str], names: Sequence[str]) -> None:
        self._names = names
        #: Those that many configs do not have stand together in the last column.
        self._own = [name for name in names if space.condition(name) is None]
        self._fixed = ["trial", *metrics, "step", "time"]

    def fit(
        self, rows: Sequence[_Row], width: int, least: dict[str, int]
    ) -> tuple[Layout, list[list[str]]]:
        """How the table is laid out, and its cells; `least` is kept."""
        first = len(self._fixed)
        names = [*self._fixed, *self._own]
        cells = [
            [str(row.number), *row.values, row.step, row.took]
            + [_short(row.config, name) for name in self._own]
            for row in rows
        ]
        right = {0, first - 2, first - 1}
        whole = range(first)
        least_widths = [least.get(name, 0) for name in names]

        def laid_out(room: int) -> Layout:
            return Layout.of(names, cells, room, right=right, whole=whole, least=least_widths)

        layout = laid_out(width)
        if len(layout.places) < len(names) or len(self._own) < len(self._names):
            layout = laid_out(width - GAP - _LEAST_OTHERS)
        for k, wide in zip(layout.places, layout.widths, strict=True):
            least[names[k]] = max(least.get(names[k], 0), wide)
        if len(layout.places) == first + len(self._names):
            return layout, cells
        shown = {names[k] for k in layout.places}
        folded = [name for name in self._names if name not in shown]
        left = max(_LEAST_OTHERS, width - layout.width - GAP)
        last = [_beginning(_pairs(row.config, folded), left) for row in rows]
        layout = Layout(
            (*layout.places, len(names)),
            (*layout.headings, ("", _OTHERS)),
            (*layout.widths, left),
            layout.right,
        )
        return layout, [[*row, others] for row, others in zip(cells, last, strict=True)]


#: What the last column has at least.
_LEAST_OTHERS: Final = 18


def _short(config: dict[str, object], name: str) -> str:
    value = config.get(name)
    return show_number(value, 3) if isinstance(value, float) else show_value(value)


def _pairs(config: dict[str, object], names: Iterable[str]) -> str:
    """``momentum=0.93 layers=3``: of the parameters that the config has."""
    return " ".join(f"{name}={_short(config, name)}" for name in names if name in config)


def _beginning(words: str, width: int) -> str:
    """The beginning of `words`: whole words, if the first one fits."""
    if len(words) <= width:
        return words
    cut = words[: width - 1].rsplit(" ", 1)[0] if " " in words[: width - 1] else words[: width - 1]
    return f"{cut} …" if len(cut) < width - 1 else f"{cut}…"


def bar(progress: Progress, width: int) -> list[Text]:
    """How far the study is: bar and text beside one another, or the bar above where that is too long."""
    text = str(progress)
    share = progress.fraction_done
    beside = share is None or len(text) + _BAR + 1 <= width
    long = _BAR if beside else min(width, _LONG_BAR)
    lines: list[Text] = []
    drawn = Text()
    if share is not None:
        full = round(share * long)
        drawn = Text.assemble(("━" * full, "green"), ("━" * (long - full), "dim"))
    if beside:
        drawn.append(f" {text}" if share is not None else text)
        return [drawn]
    lines.append(drawn)
    line = ""
    for part in text.split(" · "):
        if line and len(line) + 3 + len(part) > width:
            lines.append(Text(line))
            line = part
        else:
            line = f"{line} · {part}" if line else part
    return [*lines, Text(line)]


def _best(ledger: Ledger) -> list[Trial]:
    """The best few: O(trials), and so only once, when a study is opened again. With several objectives, whose front is
    counted below the tables, the one that the user's rule prefers, if there is a rule."""
    import numpy as np

    if len(ledger.spec.objectives) > 1:
        return [] if ledger.incumbent is None else [ledger.trial(ledger.incumbent)]
    candidates = ledger.feasible()
    candidates[list(ledger.confirming)] = False
    numbers = np.flatnonzero(candidates)
    losses = ledger.column("losses")[numbers, 0]
    return [ledger.trial(int(numbers[i])) for i in np.argsort(losses, kind="stable")[:_BEST_ROWS]]
