"""The live display of `run` in a terminal: running trials, best trials, progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunesmith import streams
from tunesmith.cli.lines import headline, one_line, print_outlook, print_result
from tunesmith.cli.tables import show_value
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_number, show_seconds
from tunesmith.core.trial import State, Trial
from tunesmith.tuning.feed import Feed, Progress
from tunesmith.tuning.result import Result

if TYPE_CHECKING:
    from tunesmith.core.space.lattice import Count
    from tunesmith.tuning.study import Study

#: Rows of the two tables.
_BEST_ROWS = 5
_RUNNING_ROWS = 8


class Screen:
    """Redraws at most ten times a second, and leaves the terminal as it was."""

    def __init__(self, names: Sequence[str], planned: Count | None) -> None:
        self._names = names
        self._planned = planned
        self._console = Console(file=cast(IO[str], streams.err()))
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._feed = Feed()
        self._top: list[Trial] | None = None

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def opened(self, study: Study) -> None:
        self._console.print(Text(headline(study, self._planned), style="bold"))

    def say(self, message: str) -> None:
        self._console.print(Text(message, style="yellow"))

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
        parts = [self._best_table(ledger), self._running_table(ledger, now), self._bar(progress)]
        self._live.update(Group(*(part for part in parts if part is not None)), refresh=True)

    def _rank(self, trial: Trial, ledger: Ledger) -> None:
        """Keep the best few without looking at all trials again."""
        again = trial.number in ledger.confirming  # whose value is its parent's luck
        if trial.state is not State.COMPLETED or self._top is None or again:
            return
        sign = ledger.spec.first_objective.sign
        ranked = [*self._top, trial]
        ranked.sort(key=lambda t: (t.value or 0.0) * sign)
        self._top = ranked[:_BEST_ROWS]

    def _table(self, *columns: str) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
        for column in columns:
            right = column in ("trial", "time", "step")
            table.add_column(
                column,
                justify="right" if right else "left",
                no_wrap=True,
                max_width=None if column != "last report" else 40,
            )
        for name in self._names:
            table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=16)
        return table

    def _values(self, trial: Trial) -> list[Text]:
        return [Text(show_value(trial.config.get(name))) for name in self._names]

    def _best_table(self, ledger: Ledger) -> Table | None:
        if not self._top:
            return None
        table = self._table("trial", ledger.spec.first_objective.metric, "time")
        for trial in self._top:
            is_best = trial.number == ledger.incumbent
            cells = [str(trial.number), show_number(trial.value), show_seconds(trial.cost.wall_s)]
            table.add_row(*cells, *self._values(trial), style="bold green" if is_best else None)
        return table

    def _running_table(self, ledger: Ledger, now: float) -> Table | None:
        if not ledger.running:
            return None
        table = self._table("trial", "step", "last report", "time")
        for number in sorted(ledger.running)[:_RUNNING_ROWS]:
            trial = ledger.trial(number)
            last = trial.reports[-1] if trial.reports else None
            reported = {} if last is None else last.metrics
            first = [o.metric for o in ledger.spec.objectives if o.metric in reported]
            metrics = " ".join(
                f"{name} {show_number(reported[name])}"
                for name in dict.fromkeys([*first, *reported])
            )
            step = "" if last is None else str(last.step)
            took = show_seconds(now - ledger.started_at(number))
            table.add_row(str(number), step, metrics, took, *self._values(trial), style="cyan")
        return table

    def _bar(self, progress: Progress) -> Table:
        grid = Table.grid(padding=(0, 1))
        fraction, text = progress.fraction_done, Text(str(progress))
        if fraction is None:
            grid.add_row(text)
        else:
            grid.add_row(ProgressBar(total=1.0, completed=fraction, width=24), text)
        return grid


def _best(ledger: Ledger) -> list[Trial]:
    """The best few of a study that is opened again: O(trials), once."""
    import numpy as np

    if len(ledger.spec.objectives) > 1:
        return []
    candidates = ledger.feasible()
    candidates[list(ledger.confirming)] = False
    numbers = np.flatnonzero(candidates)
    losses = ledger.column("losses")[numbers, 0]
    return [ledger.trial(int(numbers[i])) for i in np.argsort(losses, kind="stable")[:_BEST_ROWS]]
