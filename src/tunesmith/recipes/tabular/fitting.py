"""`fit`: from a table to the best model that could be found in the time given."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.report import write_report
from tunesmith.core.errors import JobError, NothingCompleted
from tunesmith.core.quantity import count, seconds, show_seconds
from tunesmith.core.trial import State, Trial
from tunesmith.numeric.threads import one_thread
from tunesmith.recipes.output import REPORT, STUDY, begin, beside, say_if, search_s, start_over
from tunesmith.recipes.tabular import data as tables
from tunesmith.recipes.tabular import ensemble as blending
from tunesmith.recipes.tabular import model, plan, stored, stratified
from tunesmith.recipes.tabular import space as choice
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.leaks import copies, notice_of_copies
from tunesmith.recipes.tabular.metrics import Metric, as_judged, metric_for, metrics_of, scores
from tunesmith.recipes.tabular.model import Fitted
from tunesmith.recipes.tabular.plan import RECIPE, SEARCH_SHARE, TablePlan
from tunesmith.recipes.tabular.roles import Roles
from tunesmith.recipes.tabular.score import (
    TRIALS,
    Checked,
    Tried,
    clusters_of,
    corrected,
    interval,
    optimism,
)
from tunesmith.recipes.tabular.splits import checked_rows, splits
from tunesmith.recipes.tabular.train import (
    PREDICTIONS,
    VERSION,
    Pipe,
    Training,
    quiet,
)
from tunesmith.recipes.tabular.train import fit as fit_pipe
from tunesmith.run.resources import cores
from tunesmith.tuning.api import tune
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.place import folder_of
from tunesmith.tuning.result import Result
from tunesmith.tuning.versions import OnChange

Floats = NDArray[np.float64]

#: Pipelines in the ensemble, at most.
ENSEMBLE: Final = 10
#: After each algorithm's first config there is a variant for every so many seconds, by the processes side by side.
MORE_S: Final = 25.0
#: The best of each algorithm are checked on all folds: blended they are worth more than each alone.
SCHEDULER: Final[Mapping[str, Any]] = {
    "racing": {"folds": 3, "alpha": 0.1, "among": "algorithm"},
}
#: The file of the search's rows, inside the output folder.
ROWS: Final = ".rows.npz"


@dataclass(frozen=True)
class Member:
    """A trial in the result: its weight, and what it predicts for the rows that were checked, shape (rows, outputs)."""

    trial: Trial
    weight: float
    predicted: Floats


@dataclass(frozen=True)
class Judgement:
    """What the result is judged by: the metric, on which rows, and how many of them are copies of others; `tried_on`:
    what it was chosen from, on some of these rows."""

    metric: Metric
    rows: Data
    tried_on: Callable[[NDArray[np.intp]], Tried]
    copies: int = 0

    def honest(self, predicted: Floats, seed: int) -> dict[str, Any]:
        """What model.json says of the score of predictions, shape (rows, outputs): as new rows would have it, not those
        that the result was chosen by."""
        rows, name = self.rows, self.metric.name
        bound = [
            Checked(rows.y, rows.bonds.weight, cluster)
            for cluster in clusters_of(rows.bonds, rows.rows)
        ]
        metrics = metrics_of(rows.task, rows.aim)
        with one_thread():
            luck = optimism(self.metric, metrics, bound[0], self.tried_on, seed)
            low, high = interval(self.metric, bound, predicted, luck[name], seed)
        p = as_judged(predicted, self.metric)
        seen = scores(rows.task, rows.y, p, rows.aim, rows.bonds.weight)
        honest = seen | {n: corrected(m, seen[n], luck[n].by) for n, m in metrics.items()}
        return {
            "value": seen[name],
            "score": honest[name],
            "interval": [low, high] if np.isfinite([low, high]).all() else None,
            "scores": honest,
        }


def fit(
    data: Any,
    *,
    target: str | None = None,
    task: str | None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    dates: str | None = None,
    metric: str | None = None,
    time: float | str | None = None,
    trials: int | None = None,
    output: str | Path | None = None,
    algorithms: Sequence[str] | None = None,
    ensemble: int = ENSEMBLE,
    seed: int | None = None,
    parallel: int | None = None,
    searcher: str | Mapping[str, Any] = "auto",
    scheduler: str | Mapping[str, Any] | None = None,
    group: str | None = None,
    time_column: str | None = None,
    weight: str | None = None,
    quantile: float | None = None,
    costs: Any = None,
    on_change: OnChange = "refuse",
    sheet: str | None = None,
    storage: str | Path | None = None,
    progress: bool | None = None,
    watcher: Watcher | None = None,
    say: Callable[[str], None] | None = None,
) -> Fitted:
    """Find the best model for a table, and fit it: see docs/guides/fit.md.

    `data` is a file (CSV, Excel, Parquet, Arrow, svmlight) or a DataFrame, `target` its column to predict; `columns` says
    what others are, where that is not seen: ``{"zip": "category"}`` (or number, date, text, ignore), and `dates` whether
    01/02/2024 is "day-first" or "month-first". `time`, 10
    minutes unless `trials` are given, is for everything; the same call again goes on with the search in `output`
    (NAME-model beside the file), and if the table has changed since, `on_change` decides: "refuse", "continue" (its
    best configs are tried first, its results no longer count), or "new" (a search in NAME-model-2). `ensemble` is how many pipelines may be blended; 1 for the best alone.
    `scheduler` "none" checks every pipeline on all folds. `say` is told what was found and done.

    Rows with the same value of the column `group` are never both learned from and checked; those later in
    `time_column` are checked with what earlier ones teach; `weight` says how much each counts. `quantile` is predicted
    instead of a mean (0.9: nine of ten are below), and `costs`, ``{"yes": 10, "no": 1}`` or ``{("yes", "no"): 10}``, are
    of a class that is taken for another: predictions are then the decisions of the least expected cost.
    `sheet` is the one of a workbook that is read, the first if it is not named.

    Raises JobError for a table that cannot be learned from; nothing is written then.
    """
    begun = clock.monotonic()
    say = say or say_if(progress)
    limit_s = seconds(time, "time") if time is not None else None if trials else 600.0
    table = tables.load(
        data, target, task, columns, dates,
        roles=Roles(group, time_column, weight), quantile=quantile, costs=costs, sheet=sheet,
    )  # fmt: skip
    judged = metric_for(table.task, metric, table.aim)
    if isinstance(ensemble, bool) or not isinstance(ensemble, int) or ensemble < 1:
        raise JobError(
            f"ensemble is how many pipelines may be blended, 1 or more, not {ensemble!r}"
        )
    folder = _folder(output, data, table)
    settled = plan.settle(folder, plan.make(table, judged, limit_s, seed), seed, on_change, say)
    folder, planned = settled.folder, settled.plan
    storage = storage or folder / "study.db"
    searched = table
    if planned.rows < table.rows:
        searched = table.take(stratified.sample(table.y, planned.rows, planned.seed))
    names, notices = choice.algorithms(searched, algorithms, table.rows)
    folds = splits(searched, planned.folds, planned.repeats, planned.seed)
    twice = copies(searched, folds)
    if twice:
        notices = [*notices, notice_of_copies(twice, searched.rows)]
    for line in (*plan.summary(planned, table, judged), *(f"note: {n}" for n in notices)):
        say(line)
    for warning in table.warnings:
        say(f"WARNING: {warning}")
    space = choice.space_for(searched, names, judged, planned.folds, float(table.y.min()))
    trial_s = planned.training_limit_s(limit_s)
    parallel = parallel or cores()
    program = Training(
        rows=str((folder / ROWS).absolute()),
        metric=judged.name,
        folds=planned.folds,
        repeats=planned.repeats,
        seed=planned.seed,
        trial_time_s=trial_s,
        program={"recipe": f"{RECIPE} {VERSION}", **planned.parts},
    )
    if settled.changed:
        planned = replace(planned, spent_s=start_over(storage, space))
    with begin(folder, RECIPE, planned):
        stored.save(folder / ROWS, searched)
        spent_s = clock.monotonic() - begun
        rest_s = None if limit_s is None else search_s(limit_s, SEARCH_SHARE, spent_s)
        first = None if rest_s is None else len(names) + int(rest_s * parallel / MORE_S)
        result = tune(
            program,
            space,
            metric=judged.name,
            goal=judged.goal,
            name=STUDY,
            storage=storage,
            searcher=searcher,
            scheduler=_scheduler(scheduler),
            seed=planned.seed,
            enqueue=choice.first_configs(space, names, first),
            executor="process",
            progress=progress,
            watcher=watcher,
            parallel=parallel,
            trials=trials,
            time=None if rest_s is None else planned.spent_s + rest_s,
            on_change=on_change,
            trial_time=trial_s,
            grace=2.0,
            failures_in_a_row=None,
        )
    (folder / ROWS).unlink(missing_ok=True)
    left_s = None if limit_s is None else max(0.0, limit_s - (clock.monotonic() - begun))
    trial_folder = folder_of(storage, result.spec.name).trial
    checked = checked_rows(folds)
    members = _choose(result, searched.take(checked), judged, ensemble, trial_folder, checked)

    def tried_on(places: NDArray[np.intp]) -> Tried:
        return _tried(completed(result, judged), ensemble, trial_folder, checked[places])

    judgement = Judgement(judged, searched.take(checked), tried_on, twice)
    return _finish(result, table, judgement, planned, folder, members, parallel, left_s, say)


def _folder(output: str | Path | None, data: Any, table: Data) -> Path:
    if output is not None:
        return Path(output).expanduser()
    if isinstance(data, (str, Path)):
        return beside(Path(data).expanduser())
    return Path(f"{table.target}-model")


def _scheduler(scheduler: str | Mapping[str, Any] | None) -> Any:
    if scheduler == "none":
        return None
    return SCHEDULER if scheduler is None else scheduler


# -- what the search found ----------------------------------------------------------------------


def completed(result: Result, metric: Metric) -> list[Trial]:
    """The trials that may be chosen, the best first."""
    may_be_best = result.ledger.feasible()
    done = [trial for trial in result.trials if may_be_best[trial.number]]
    return sorted(done, key=lambda trial: metric.sign * (trial.value or 0.0))


def _tried(
    done: list[Trial], most: int, folder_of: Callable[[int], Path], rows: NDArray[np.intp]
) -> Tried:
    """What the result was chosen from, with what it predicts for some rows of the search."""
    algorithms, predictions = [], []
    for trial in done[:TRIALS]:
        file = folder_of(trial.number) / PREDICTIONS
        if file.exists():
            algorithms.append(trial.config["algorithm"])
            predictions.append(np.load(file, mmap_mode="r")[rows].astype(np.float64))
    return Tried(algorithms, predictions, most)


def _choose(
    result: Result,
    data: Data,
    metric: Metric,
    most: int,
    folder_of: Callable[[int], Path],
    checked: NDArray[np.intp] | None = None,
) -> list[Member]:
    """The trials to fit, with weights. `data` has the rows that were `checked`: all, unless it says which."""
    done = completed(result, metric)
    candidates = [done[k] for k in blending.candidates([t.config["algorithm"] for t in done])]
    readable, predictions = [], []
    for trial in candidates if most > 1 else candidates[:1]:
        file = folder_of(trial.number) / PREDICTIONS
        if file.exists():
            readable.append(trial)
            held_out = np.load(file).astype(np.float64)
            predictions.append(held_out if checked is None else held_out[checked])
    if not readable:
        if done:
            raise JobError(
                "the predictions of the trials are gone from the output folder; fit again"
            )
        why = result.nothing
        raise NothingCompleted(f"{why}; give it more time, and run it again to go on")
    weights = blending.choose(data.y, predictions, metric, most, weight=data.bonds.weight)
    return [Member(readable[k], w, predictions[k]) for k, w in weights.items()]


def _within(
    members: list[Member], planned: TablePlan, data: Data, parallel: int, left_s: float | None
) -> list[Member]:
    """As many members, the weightiest first, as can be fitted in the time that is left; one at least."""
    if left_s is None:
        return members
    ranked = sorted(members, key=lambda m: -m.weight)
    share = data.rows / planned.rows * planned.folds / (planned.folds - 1) / parallel
    members_in_time: list[Member] = []
    total_s = 0.0
    for member in ranked:
        takes_s = member.trial.metrics.get("fold_s", 0.0) * share
        if not members_in_time or total_s + takes_s < left_s:
            members_in_time.append(member)
            total_s += takes_s
    return _weighed(members_in_time)


def _weighed(members: list[Member]) -> list[Member]:
    """With weights that sum to 1 again."""
    weight = sum(m.weight for m in members)
    return [replace(m, weight=m.weight / weight) for m in members]


def _finish(
    result: Result,
    table: Data,
    judgement: Judgement,
    planned: TablePlan,
    folder: Path,
    members: list[Member],
    parallel: int,
    left_s: float | None,
    say: Callable[[str], None],
) -> Fitted:
    """Fit the chosen pipelines on all rows, and write the model, its description and the report."""
    begun = clock.monotonic()
    final = _within(members, planned, table, parallel, left_s)
    if len(final) < len(members):
        say(
            f"note: {len(final)} of {len(members)} pipelines of the ensemble can be fitted in the time that is left"
        )
    final, pipes = _fit_all(final, table, planned.seed, parallel, say)
    held_out = np.sum([m.weight * m.predicted for m in final], axis=0)
    best, metric = result.best, judgement.metric
    about = {
        "task": table.task,
        "target": table.target,
        "classes": list(table.classes),
        "columns": [c.to_dict() for c in table.columns],
        "left_out": list(table.left_out),
        "notices": list(table.notices),
        "sparse": table.sparse,
        "base": table.base,
        "metric": metric.name,
        "goal": metric.goal,
        **judgement.honest(held_out, planned.seed),
        "options": planned.options,
        "checked_rows": judgement.rows.rows,
        "copies": judgement.copies,
        "warnings": list(table.warnings),
        "best": {"trial": best.number, "value": best.value, "config": best.config},
        "members": [
            {
                "weight": m.weight,
                "trial": m.trial.number,
                "config": m.trial.config,
                **model.member_about(pipe),
            }
            for m, pipe in zip(final, pipes, strict=True)
        ],
        "leaderboard": leaderboard(result, metric),
        "rows": table.rows,
        "searched_rows": planned.rows,
        "folds": planned.folds,
        "repeats": planned.repeats,
        "seed": planned.seed,
        "trials": len(result.trials),
        "chosen_from": len(completed(result, metric)),
        "versions": plan.versions(),
    }
    about = model.write(folder, about, pipes, table.x[:50], say)
    fitted = Fitted(folder, about, result, allow_pickle=True)  # this process has just written it
    write_report(result._ledger, folder / REPORT, fitted.evidence)  # noqa: SLF001
    say(
        f"fitted {count(len(pipes), 'pipeline')} on all rows in {show_seconds(clock.monotonic() - begun)}"
    )
    return fitted


def _fit_all(
    members: list[Member], data: Data, seed: int, parallel: int, say: Callable[[str], None]
) -> tuple[list[Member], list[Pipe]]:
    """The fitted pipelines, and whose they are: one that fails is left out. Raises JobError if all do."""
    made = _fit_each([member.trial for member in members], data, seed, parallel)
    pipes = [pipe for pipe in made if isinstance(pipe, Pipe)]
    if len(pipes) == len(members):
        return members, pipes
    for member, why in zip(members, made, strict=True):
        if isinstance(why, str):
            if not pipes:
                raise JobError(f"no pipeline can be fitted on all rows: {why}")
            say(
                f"note: the {member.trial.config['algorithm']} of trial {member.trial.number} cannot be fitted on "
                f"all rows, and is left out: {why}"
            )
    fitted = [m for m, pipe in zip(members, made, strict=True) if isinstance(pipe, Pipe)]
    return _weighed(fitted), pipes


def _fit_each(trials: list[Trial], data: Data, seed: int, parallel: int) -> list[Pipe | str]:
    """Each in a process of its own, if there are several: networks hold on to the interpreter."""
    if len(trials) == 1:
        return [_fit_one(trials[0], data, seed)]
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    try:
        workers = Parallel(n_jobs=min(parallel, len(trials)))
        made: list[Pipe | str] = workers(delayed(_fit_one)(trial, data, seed) for trial in trials)
    finally:
        get_reusable_executor().shutdown(wait=True)
    return made


def _fit_one(trial: Trial, data: Data, seed: int) -> Pipe | str:
    """A fitted pipeline, or why there is none."""
    trees = round(trial.metrics.get("trees", 0.0))
    try:
        with quiet(), one_thread():  # as in the trial, or it takes longer than that tells
            return fit_pipe(trial.config, data, seed, trees=trees)
    except Exception as error:  # noqa: BLE001 (whatever an algorithm raises)
        return f"{type(error).__name__}: {error}"


def leaderboard(result: Result, metric: Metric) -> list[dict[str, Any]]:
    """For each algorithm: its best value, trial and config, and how many trials it had; the best first."""
    rows: dict[str, dict[str, Any]] = {}
    may_be_best = result.ledger.feasible()
    for trial in result.trials:
        if trial.retracted:
            continue
        name = trial.config["algorithm"]
        row = rows.setdefault(name, {"algorithm": name, "value": None, "trials": 0, "failed": 0})
        row["trials"] += 1
        row["failed"] += trial.state is State.FAILED
        if trial.value is None or not may_be_best[trial.number]:
            continue
        if row["value"] is None or metric.sign * trial.value < metric.sign * row["value"]:
            row |= {
                "value": trial.value, "trial": trial.number, "wall_s": trial.cost.wall_s,
                "config": trial.config,
            }  # fmt: skip

    def rank(row: dict[str, Any]) -> float:
        return np.inf if row["value"] is None else metric.sign * row["value"]

    return sorted(rows.values(), key=rank)
