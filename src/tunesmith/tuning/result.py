"""The result of a study: the best trial, all trials as a table, and why it ended."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import msgspec
import numpy as np

from tunesmith import search
from tunesmith.core import pareto
from tunesmith.core.aging import Worth
from tunesmith.core.errors import NothingCompleted, StudyError
from tunesmith.core.history import History
from tunesmith.core.incumbent import Confirmed, nearest
from tunesmith.core.ledger import Ledger
from tunesmith.core.preference import preference_of
from tunesmith.core.prior_study import PriorStudy
from tunesmith.core.quantity import count
from tunesmith.core.space.space import Config
from tunesmith.core.strategy import Outlook
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State, Trial
from tunesmith.files import drafted
from tunesmith.numeric.hypervolume import hypervolume
from tunesmith.tuning import table
from tunesmith.tuning.frames import Frame, frame

if TYPE_CHECKING:
    from tunesmith.analysis.figures import Figures
    from tunesmith.analysis.importance import Importance
    from tunesmith.analysis.regions import Failures


class Audit(NamedTuple):
    """Trials that a scheduler would have stopped and that ran to their end: all of them, and the
    `winners`, which came out better than every other trial (with several objectives: that no other one beats)."""

    trials: tuple[int, ...]
    winners: tuple[int, ...]

    def __str__(self) -> str:
        lost = (
            f"{len(self.winners)} of them would have been the best"
            if self.winners
            else "rightly so"
        )
        return f"{count(len(self.trials), 'trial')} that it would have stopped ran to {'its' if len(self.trials) == 1 else 'their'} end: {lost}"


class Trials(Sequence[Trial]):
    """The trials of a study, made when they are asked for: ``trials[3]``, ``trials[-5:]``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __len__(self) -> int:
        return self._ledger.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._ledger.trial(i) for i in range(*index.indices(len(self)))]
        number = int(index)
        return self._ledger.trial(number + len(self) if number < 0 else number)

    def __iter__(self) -> Iterator[Trial]:
        return (self._ledger.trial(i) for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<{count(len(self), 'trial')}>"


class Result:
    """The state of a study when it was asked for."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    @property
    def numbers(self) -> Sequence[int]:
        """The trials' numbers."""
        return range(self._ledger.size)

    @property
    def spec(self) -> StudySpec:
        return self._ledger.spec

    @property
    def trials(self) -> Trials:
        return Trials(self._ledger)

    def audit(self) -> Audit:
        """What became of the trials that the scheduler would have stopped (its option `audit`)."""
        ledger = self._ledger
        losses, done = ledger.column("losses"), ledger.feasible()
        let_on = np.zeros(len(done), dtype=np.bool_)
        let_on[list(ledger.audited)] = True
        others = losses[done & ~let_on]
        ended = np.flatnonzero(let_on & done).tolist()
        beaten = [bool((others <= losses[k]).all(axis=1).any()) for k in ended]
        return Audit(
            tuple(ended), tuple(k for k, lost in zip(ended, beaten, strict=True) if not lost)
        )

    def outlook(self, trials: int = 20) -> Outlook | None:
        """What so many more trials would gain, by the model of the default searcher; None where there is too
        little to go by (fewer than 10 results, or than parameters and two more), or several objectives."""
        return search.look_ahead(History(self._ledger), trials)

    @property
    def evidence(self) -> list[Worth]:
        """What the results of earlier versions of the program, or of its data, are worth to the search: one for each that
        is set aside (`changed`)."""
        from tunesmith.analysis.versions import worth

        return worth(self._ledger)

    def schedule(self, trial: int | None = None) -> list[tuple[int, Config]]:
        """From which step on a trial (the best one) was trained with which config: one pair, or several if
        it goes on from copies of others (schedulers ``pbt``, ``pb2``).

        The scheduler ``scripted`` runs it again. Raises as `best`.
        """
        number = self.best.number if trial is None else trial
        segments: list[tuple[int, Config]] = []
        while number in self._ledger.forks:
            segments.append((self._ledger.forks[number], self._ledger.config(number)))
            parent = self._ledger.parent(number)
            assert parent is not None
            number = parent
        return [(0, self._ledger.config(number)), *reversed(segments)]

    def past(self, metric: str | None = None) -> PriorStudy:
        """What a later study may start with (``warm_start=``), by this objective's metric, which several need. Raises
        StudyError without results."""
        history = History(self._ledger)
        if metric is None and len(self.spec.objectives) > 1:
            metrics = ", ".join(o.metric for o in self.spec.objectives)
            raise StudyError(
                f"study {self.spec.name!r} has several objectives ({metrics}); name the one that a later study is to "
                f"learn from, as in past({self.spec.first_objective.metric!r})"
            )
        losses = history.losses[:, 0 if metric is None else self.spec.place_of(metric)]
        ended = history.where(State.COMPLETED, State.STOPPED) & np.isfinite(losses)
        rows = np.flatnonzero(ended).tolist()
        if not rows:
            raise StudyError(
                f"warm_start: study {self.spec.name!r} has no results to start from; leave it out"
            )
        configs = [self._ledger.config(k) for k in rows]
        return PriorStudy.of(self.spec.name, configs, [float(losses[k]) for k in rows])

    @property
    def ended(self) -> str:
        """Why the study ended, in a sentence; empty if it has not."""
        return self._ledger.ended.detail if self._ledger.ended else ""

    @property
    def ended_by(self) -> str:
        """Why it ended, in a word: "trials", "time", "target", "no_improvement", "converged", "confirmed", "exhausted", "failures", "compute_time", "cost", "interrupted"."""
        return self._ledger.ended.why if self._ledger.ended else ""

    @property
    def counts(self) -> dict[State, int]:
        """How many trials are in each state."""
        return dict(self._ledger.counts)

    @property
    def cost(self) -> dict[str, float]:
        """What was spent: seconds of the study, seconds in trials, money."""
        ledger = self._ledger
        return {
            "elapsed_s": ledger.worked_s,
            "compute_s": ledger.compute_time_s,
            "money": ledger.money,
        }

    @property
    def best(self) -> Trial:
        """The completed trial with the best value (not retracted, inside the space, no constraint broken); of those that
        were confirmed, the likeliest to be the best; of several objectives, the one of the front that `prefer` chooses.

        Where noise is found it is the trial that is likely best: its `expected` is what its config reaches on average by
        the model of all trials, within its `interval` with a probability of 90 %, and `best_observed` has the best value,
        partly by luck. Of studies of more than 10,000 trials, `best_observed`.

        Raises NothingCompleted if there is none, StudyError if there are several objectives and no rule (see `front`).
        """
        from tunesmith.analysis.certainty import likely_best, worth_of_best
        from tunesmith.analysis.trials import TrialArrays

        observed, trials = self.best_observed, TrialArrays(self._ledger)
        number, worth = likely_best(trials), worth_of_best(trials)
        trial = observed
        if number is not None and number != observed.number:
            trial = self._ledger.trial(number)
        if worth is None:
            return trial
        return msgspec.structs.replace(
            trial, expected=worth.value, interval=(worth.low, worth.high)
        )

    @property
    def best_observed(self) -> Trial:
        """The trial with the best value, noise or not; else as `best`, and raises as `best`."""
        if len(self.spec.objectives) > 1 and self.spec.prefer is None:
            metrics = ", ".join(o.metric for o in self.spec.objectives)
            raise StudyError(
                f"with several objectives ({metrics}) no one trial is best; Result.front has those that no other beats, "
                "and `tunesmith show` lists them; a rule chooses one: "
                f"prefer={{{self.spec.first_objective.metric!r}: 0.01}}, or Result.preferred(rule)"
            )
        if self._ledger.incumbent is None:
            output = self.nothing_output
            raise NothingCompleted(self.nothing + (f"\n{output}" if output else ""))
        return self._ledger.trial(self._ledger.incumbent)

    def preferred(self, prefer: str | Mapping[str, Any]) -> Trial:
        """The trial of the front that a rule chooses: ``{"error": 0.01}`` is the least error, or one at most 0.01 worse,
        among those the best of the next objective; ``{"weights": {"error": 1, "seconds": 0.01}}`` the least sum;
        ``{"at_most": {"seconds": 60}}`` the best that keeps the limit. Raises StudyError, NothingCompleted.
        """
        rule, members = preference_of(prefer, self.spec.objectives), self._ledger.front()
        if rule is None or not len(members):
            raise NothingCompleted(self.nothing)
        losses = self._ledger.column("losses")[members]
        return self._ledger.trial(int(members[rule.choose(losses, self.spec.objectives)]))

    @property
    def recommended(self) -> Trial:
        """The completed trial whose config to take, which is the one that the report recommends: `best`, unless that
        had to be one whose checkpoints stay (limit `keep`) and another's config is expected to be better on average.

        Raises as `best`.
        """
        from tunesmith.analysis.certainty import certainty, recommended
        from tunesmith.analysis.trials import TrialArrays

        best, trials = self.best, TrialArrays(self._ledger)
        number = None if self._ledger.confirmed else recommended(trials, certainty(trials))
        return best if number is None or number == best.number else self._ledger.trial(number)

    @property
    def confirmed(self) -> list[Confirmed]:
        """The best trials that were run again (limit `confirm`), the likeliest to be the best first."""
        return list(self._ledger.confirmed)

    @property
    def nothing(self) -> str:
        """Why there is no best trial, where none has completed."""
        failed = self._ledger.counts[State.FAILED]
        nearest = self.nearest
        if nearest is not None:
            broken = " and ".join(nearest.broken)
            metrics = ", ".join(f"{n} = {v:g}" for n, v in nearest.metrics.items())
            return (
                f"study {self.spec.name!r} has no trial that keeps its constraints; the nearest is trial {nearest.number} "
                f"({metrics}), which breaks {broken}"
            )
        text = f"study {self.spec.name!r} has no completed trial"
        if failed and self._ledger.failures:
            return f"{text}; {failed} failed, the last: {self._ledger.reason(self._ledger.failures[-1])}"
        return f"{text} ({failed} failed)" if failed else text

    @property
    def failures(self) -> tuple[Failures, ...]:
        """The failures that the configs may be blamed for, by reason, the commonest first: ``kind``, the numbers of the
        ``trials``, and the ``region`` in which they lie, if some values of one or two parameters tell. As text:
        ``out_of_memory: 9 of 11 trials with batch_size >= 256, none of the 29 others``."""
        from tunesmith.analysis.regions import failures

        return failures(self._ledger)

    @property
    def nearest(self) -> Trial | None:
        """The completed trial that breaks the fewest constraints, and of those the best; None where none breaks any."""
        number = nearest(self._ledger.table, self._ledger.where_counted)
        return None if number is None else self._ledger.trial(number)

    @property
    def nothing_output(self) -> str:
        """The traceback, or the last output, of the failure that `nothing` names."""
        failures = self._ledger.failures
        reason = self._ledger.reason(failures[-1]) if failures else None
        return "" if reason is None else reason.output

    @property
    def front(self) -> list[Trial]:
        """The trials that no other beats in every objective: O(completed * front)."""
        return [self._ledger.trial(number) for number in self._ledger.front().tolist()]

    @property
    def knee(self) -> Trial | None:
        """The trial of the front where giving up a little of one objective gains most of the others; None for an empty
        front. See `tunesmith.core.pareto.knee`."""
        members = self._ledger.front()
        if not len(members):
            return None
        return self._ledger.trial(int(members[pareto.knee(self._ledger.column("losses")[members])]))

    def hypervolume(self, reference: Mapping[str, float]) -> float:
        """The volume of what the front beats, up to `reference`, which has a value for each objective's metric, in the
        product of their units. Raises StudyError."""
        objectives = self.spec.objectives
        metrics = [o.metric for o in objectives]
        if set(reference) != set(metrics):
            raise StudyError(
                f"the reference has a value for each of {', '.join(metrics)}, not for {', '.join(map(str, reference))}"
            )
        point = np.array([o.sign * float(reference[o.metric]) for o in objectives])
        return hypervolume(self._ledger.column("losses")[self._ledger.front()], point)

    # -- as pictures --------------------------------------------------------------------------

    @property
    def figures(self) -> Figures:
        """Figures for notebooks, as Plotly's (extra ``figures``): ``figures.best()``, ``figures.curves()``.."""
        from tunesmith.analysis.figures import Figures

        return Figures(self._ledger)

    def importance(self, objective: int | str = 0) -> Importance | None:
        """How much of the differences between results each parameter, and each group, explains, with
        intervals; None with fewer than 4 results, or if all are equal. `objective` is one of several, by its metric or
        its place."""
        from tunesmith.analysis.importance import importance

        return importance(History(self._ledger), self.spec.place_of(objective))

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report, one HTML file, whole or not at all. Raises OSError."""
        from tunesmith.analysis.report import write_report

        return write_report(self._ledger, path)

    # -- as a table ---------------------------------------------------------------------------

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat mapping per trial: number, state, metrics, the config's values, costs, why.

        Each has its own name, unless that is taken: then it is ``metric.NAME``, or ``config.NAME`` for a parameter
        that is called like a metric or another column.
        """
        return table.rows(self)

    def table(self, kind: Frame | None = None) -> Any:
        """The trials as a data frame of ``"pandas"``, ``"polars"`` or ``"arrow"`` (`pyarrow.Table`): the columns of `rows`, and
        the times ``created_at``, ``started_at`` and ``ended_at`` in UTC. Ints stay ints, choices are categories, and what a
        trial has not is null. Without a `kind` one of pandas if that is installed, else the list of `rows`. Raises StudyError for a
        library that is not installed."""
        if kind is None and find_spec("pandas") is None:
            return list(self.rows())
        return frame(self, kind or "pandas")

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table for whatever reads Arrow: ``polars.DataFrame(result)``, ``pyarrow.table(result)``, DuckDB. Needs pyarrow."""
        return self.table("arrow").__arrow_c_stream__(requested_schema)

    def curves(self) -> Any:
        """Learning curves: a pandas DataFrame with a row for each report (its trial, its step, the seconds since the
        trial was made, and the metrics), or the list of them without pandas."""
        rows = list(table.curve_rows(self._ledger))
        try:
            import pandas as pd
        except ImportError:
            return rows
        return pd.DataFrame(rows, columns=table.curve_columns(self._ledger))

    def to_csv(self) -> str:
        """The table as CSV; lists and mappings are written as JSON. A text that a spreadsheet would run as a formula
        (``=...``) begins with ' there: programs read `write_json_lines` or `write_parquet`."""
        out = io.StringIO()
        self.write_csv(out)
        return out.getvalue()

    def write_csv(self, out: TextIO) -> None:
        """Write `to_csv` row by row."""
        table.write_csv(out, self.rows(), table.Columns.of(self._ledger).names)

    def write_json_lines(self, out: TextIO) -> None:
        """Write `rows`, one JSON object a line."""
        out.writelines(
            json.dumps(table.json_safe(row), ensure_ascii=False) + "\n" for row in self.rows()
        )

    def write_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write `table` as a Parquet file (package ``pyarrow``), whole or not at all; lists and mappings, and columns
        of several types, as texts. Raises StudyError, OSError."""
        try:
            from pyarrow import parquet
        except ImportError:
            raise StudyError(
                "Parquet files need the package pyarrow: pip install pyarrow, or write .csv or .jsonl"
            ) from None
        with drafted(Path(path)) as draft:
            parquet.write_table(frame(self, "arrow"), draft)
        return Path(path)

    def to_dict(self) -> dict[str, Any]:
        """The study and all its trials in JSON's types."""
        return {
            **self._head(),
            "trials": [table.json_safe(trial.to_dict()) for trial in self.trials],
        }

    def _head(self) -> dict[str, Any]:
        """The ledger's, with the trial that is likely best, and what it is expected to reach."""
        head = self._ledger.head()
        if head["best"] is not None:
            best = self.best
            head["best"] = best.number
            if best.expected is not None and best.interval is not None:
                head |= {"expected": best.expected, "interval": list(best.interval)}
                head["best_observed"] = self._ledger.incumbent
        return head

    def to_json(self) -> str:
        out = io.StringIO()
        self.write_json(out)
        return out.getvalue()

    def write_json(self, out: TextIO) -> None:
        """Write `to_json` trial by trial."""
        head = json.dumps(self._head(), indent=2, ensure_ascii=False).removesuffix("\n}")
        out.write(f'{head},\n  "trials": [')
        for number, trial in enumerate(self.trials):
            text = json.dumps(table.json_safe(trial.to_dict()), indent=2, ensure_ascii=False)
            indented = text.replace("\n", "\n    ")
            out.write(f"{',' if number else ''}\n    {indented}")
        out.write("\n  ]\n}" if len(self.trials) else "]\n}")

    def _repr_html_(self) -> str:
        from tunesmith.tuning.notebook import result_html

        return result_html(self)

    def __repr__(self) -> str:
        best = ""
        if self._ledger.incumbent is not None:
            trial = self.best
            value = trial.value if trial.expected is None else trial.expected
            best = f", best {self.spec.first_objective.metric} {value:g} (trial {trial.number})"
        return f"<Result of {self.spec.name!r}: {count(len(self.trials), 'trial')}{best}>"
