"""The result: fitted pipelines with their weights, kept in a folder that `tunesmith predict` reads.

OUTPUT/model.json             what it is: columns, classes, configs, scores, versions
       pipelines-HASH.skops   the fitted pipelines (.joblib where skops cannot hold one)

The description names the file and is written last: a model is there whole, or is still the one before.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.core.quantity import show_number
from tunesmith.recipes.output import ABOUT, checked, own_file, put
from tunesmith.recipes.tabular.columns import UNKNOWN, Column
from tunesmith.recipes.tabular.files import Known, Source, need, read
from tunesmith.recipes.tabular.leaks import notice_of_copies
from tunesmith.recipes.tabular.matrix import read_rows
from tunesmith.recipes.tabular.metrics import Aim, metrics_of
from tunesmith.recipes.tabular.plan import RECIPE
from tunesmith.recipes.tabular.splits import assumption, kind_of_rows
from tunesmith.recipes.tabular.train import Pipe, quiet
from tunesmith.tuning.result import Result

Floats = NDArray[np.float64]

#: 2: columns say how their numbers are written.
VERSION: Final = 2
#: What can be done with numbers and dates of new rows that cannot be read.
UNREADABLE: Final = ("error", "missing")
#: So many notices of the training are repeated.
REPEATED: Final = 20
_NO_PROBABILITIES: Final = "{} predicts numbers, and those have no probabilities; leave --proba out"
#: Types outside scikit-learn and NumPy that our own files may hold.
TRUSTED: Final = frozenset({
    "collections.OrderedDict", "collections.defaultdict", "builtins.bytearray",
    "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRegressor",
    "lightgbm.sklearn._LGBMLabelEncoder", "sklearn.preprocessing._label.LabelEncoder",
    "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRegressor",
    "numpy.log1p", "numpy.expm1", "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.tree._tree.Tree", "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.metrics._dist_metrics.EuclideanDistance64", "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
})  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """A fitted model: `predict`, `predict_proba`. `about` is what model.json says."""

    path: Path
    about: dict[str, Any]
    #: The study that found it; None for a model that was loaded.
    result: Result | None = None
    #: Whether pipelines may be read from a pickle, which can run any code.
    allow_pickle: bool = False

    @property
    def metric(self) -> str:
        return str(self.about["metric"])

    @property
    def score(self) -> float:
        """The metric as new rows would have it: `value`, corrected for having chosen by it."""
        return float(self.about.get("score", self.value))

    @property
    def interval(self) -> tuple[float, float] | None:
        """(lowest, highest): where the score on very many new rows is, with a probability of 90 %. None for a model of
        an earlier version, and where all rows that were checked are of one time."""
        ends = self.about.get("interval")
        return None if ends is None else (float(ends[0]), float(ends[1]))

    def interval_on(self, rows: int) -> tuple[float, float] | None:
        """`interval` for the score on so many new rows, which differs by their chance, too: what a held-out check of
        that many rows contradicts is outside."""
        if self.interval is None:
            return None
        if isinstance(rows, bool) or rows < 1:
            raise JobError(f"rows is how many new rows there are, 1 or more, not {rows!r}")
        wider = (1.0 + self.about["checked_rows"] / rows) ** 0.5
        lowest, highest = metrics_of(str(self.about["task"]), self.aim)[self.metric].bounds
        low, high = (self.score + wider * (end - self.score) for end in self.interval)
        return max(low, lowest), min(high, highest)

    @property
    def value(self) -> float:
        """The metric by cross-validation, of the ensemble or of the single pipeline: what it was chosen by, which
        flatters."""
        return float(self.about["value"])

    @property
    def scores(self) -> dict[str, float]:
        """Every metric that fits the task, corrected as `score` is."""
        return dict(self.about["scores"])

    @property
    def best_config(self) -> dict[str, Any]:
        return dict(self.about["best"]["config"])

    @property
    def leaderboard(self) -> list[dict[str, Any]]:
        """The best trial of each algorithm, the best first."""
        return list(self.about["leaderboard"])

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        columns = map(Column.from_dict, self.about["columns"])
        if "notices" in self.about:
            return tuple(columns)
        return tuple(  # an earlier version did not keep how numbers are written
            replace(c, written=UNKNOWN) if c.kind == "number" else c for c in columns
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """What had to be said of the table that it was trained with."""
        return tuple(self.about.get("notices", ()))

    @cached_property
    def aim(self) -> Aim:
        options = self.about.get("options", {})
        return Aim(options.get("quantile"), tuple(map(tuple, options.get("costs", ()))))

    @cached_property
    def members(self) -> list[Pipe]:
        """The fitted pipelines. Raises JobError if their file is gone, cannot be read, or is a pickle and those
        are not allowed."""
        return _read_members(self.path, self.about, self.allow_pickle)

    def predict(self, data: Any, *, unreadable: str = "error", sheet: str | None = None) -> Any:
        """A value or class for each row of a file or DataFrame, shape (rows,).

        Numbers and dates that cannot be read as those of the training could are an error, or with `unreadable`
        "missing" a warning. Raises JobError.
        """
        raw = self._raw(data, unreadable, _warn, sheet)
        if self.about["task"] == "regression":
            return raw[:, 0]
        return np.array(self.about["classes"], dtype=object)[self.aim.decisions(raw)]

    def predict_proba(
        self, data: Any, *, unreadable: str = "error", sheet: str | None = None
    ) -> Any:
        """Probabilities, a DataFrame of shape (rows, classes). Raises JobError for a regression."""
        import pandas as pd

        if self.about["task"] == "regression":
            raise JobError(_NO_PROBABILITIES.format(self.path))
        return pd.DataFrame(
            self._raw(data, unreadable, _warn, sheet), columns=list(self.about["classes"])
        )

    def rows(
        self,
        data: Any,
        *,
        proba: bool = False,
        unreadable: str = "error",
        sheet: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> list[dict[str, Any]]:
        """``{target: prediction}`` for each row, and with `proba` the probability of each class; `say` is told what
        the training noted, and what was found. `unreadable`: see `predict`. Raises JobError."""
        if say:
            for notice in self.notices[:REPEATED]:
                say(f"note from training: {notice}")
            if len(self.notices) > REPEATED:
                more = len(self.notices) - REPEATED
                say(f"note from training: {more:,} more in {self.path / ABOUT}")
        target, classes = self.about["target"], self.about["classes"]
        if proba and not classes:
            raise JobError(_NO_PROBABILITIES.format(self.path))
        raw = self._raw(
            data, unreadable, (lambda text: say(f"note: {text}")) if say else _warn, sheet
        )
        if not classes:
            return [{target: value} for value in raw[:, 0].tolist()]
        out = []
        for row, k in zip(raw.tolist(), self.aim.decisions(raw).tolist(), strict=True):
            each = (
                {f"probability of {c}": p for c, p in zip(classes, row, strict=True)}
                if proba
                else {}
            )
            out.append({target: classes[k], **each})
        return out

    @property
    def worth(self) -> str:
        """How good it is, and what it is made of, in a line."""
        best, members = self.about["best"], self.about["members"]
        kind = best["config"]["algorithm"]
        if len(members) > 1:
            kind = (
                f"{len(members)} pipelines blended; uncorrected, the best of them alone, {kind}: "
                f"{show_number(best['value'])}"
            )
        quantile = "" if self.aim.quantile is None else f" at quantile {self.aim.quantile:g}"
        return f"{self.metric}{quantile} {self._score_in_words()} ({kind})"

    def _score_in_words(self) -> str:
        """The score, its interval, on which rows, and what it is corrected for."""
        if self.interval is None:
            return f"{show_number(self.score)} by cross-validation"
        score, low, high = rounded(self.score, *self.interval)
        trials = self.about["chosen_from"]
        choosing = f", corrected for choosing from {trials}" if trials > 1 else ""
        rows = kind_of_rows(self.about.get("options", {}))
        return f"{score} (90 %: {low} .. {high}) on {rows}{choosing}"

    @property
    def assumption(self) -> str:
        """Under which assumption the score holds, in a sentence."""
        return assumption(self.about.get("options", {}))

    @property
    def reservations(self) -> list[str]:
        """Why the score may be too good: what gives the target away, and rows that are there twice."""
        twice = self.about.get("copies", 0)
        doubles = [notice_of_copies(twice, self.about["searched_rows"])] if twice else []
        return [*self.about.get("warnings", ()), *doubles]

    def summary(self) -> str:
        """What it is, how good, and what that rests on, in a few lines."""
        others = (f"{n} {show_number(v)}" for n, v in self.scores.items() if n != self.metric)
        lines = [f"{self.path}: {self.worth}", f"  {'  '.join(others)}", f"  {self.assumption}"]
        return "\n".join([*lines, *(f"  WARNING: {text}" for text in self.reservations)])

    @property
    def evidence(self) -> str:
        """`worth`, and what that rests on, as sentences for the report."""
        doubts = "".join(f". Warning: {text}" for text in self.reservations)
        return f"{self.worth}. The score {self.assumption}{doubts}"

    def unknown_columns(self, frame: Any) -> list[str]:
        """Columns of a DataFrame that were not there when the model was trained."""
        known = {*(c.name for c in self.columns), *self.about["left_out"], self.about["target"]}
        return [str(name) for name in frame.columns if str(name) not in known]

    def _raw(
        self, data: Any, unreadable: str, note: Callable[[str], None], sheet: str | None
    ) -> Floats:
        """Blended predictions, shape (rows, outputs); `note` is told what has to be said of the rows."""
        if unreadable not in UNREADABLE:
            raise JobError(f"unreadable is {' or '.join(UNREADABLE)}, not {unreadable!r}")
        source = self._read(data, sheet)
        for notice in source.notices:
            note(notice)
        x = self._matrix(source, unreadable, note)
        weights = [m["weight"] for m in self.about["members"]]
        total = np.zeros((x.shape[0], max(1, len(self.about["classes"]))))
        with quiet():
            for weight, member in zip(weights, self.members, strict=True):
                total += weight * member.predict(x)
        return total

    def _read(self, data: Any, sheet: str | None) -> Source:
        """Rows to predict. A text file says what its columns hold by those rows only: the model knows better."""
        columns = {c.name: frozenset(c.known) for c in self.columns}
        return read(data, Known(columns=columns, base=self.about.get("base"), sheet=sheet))

    def _matrix(self, source: Source, unreadable: str, note: Callable[[str], None]) -> Any:
        if source.frame is not None:
            rows = read_rows(source.frame, self.columns, source.name, source.separator)
            if rows.unread and unreadable == "error":
                raise JobError(
                    f"{source.name}: {'; '.join(map(str, rows.unread))}. Write "
                    f"{'it' if len(rows.unread) == rows.unread[0].count == 1 else 'them'} so, or say --unreadable "
                    'missing (unreadable="missing" in Python), and what cannot be read counts as missing'
                )
            for problem in rows.unread:
                note(f"{problem}; {'it counts' if problem.count == 1 else 'they count'} as missing")
            for notice in rows.notices:
                note(notice)
            return rows.x
        width = len(self.columns)
        if any(c.name != f"f{k}" for k, c in enumerate(self.columns, 1)):
            raise JobError(
                f"{source.name} has numbered features, and the model was trained with named columns such as "
                f"{self.columns[0].name!r}"
            )
        x = source.sparse.copy()
        if x.shape[1] > width:
            raise JobError(
                f"{source.name} has {x.shape[1]} features, and the model was trained with {width}"
            )
        x.resize((x.shape[0], width))
        return x if self.about["sparse"] else np.asarray(x.toarray())


def rounded(score: float, low: float, high: float) -> tuple[str, str, str]:
    """A score and the ends of its interval, with the digits that the interval's width leaves: two of it."""
    width = high - low
    digits = 1 - math.floor(math.log10(width)) if width > 0 else 6
    score, low, high = (round(value, digits) for value in (score, low, high))
    return show_number(score), show_number(low), show_number(high)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=5)  # where a person called


def load(path: str | Path, *, allow_pickle: bool = False) -> Fitted:
    """The model in a folder. Raises JobError if there is none, or another recipe's, or a newer one.

    A file of kind .joblib is a pickle, which can run any code: it is only opened if you `allow_pickle`.
    """
    folder = Path(path).expanduser()
    about = checked(folder, RECIPE, VERSION)
    need("sklearn", "pandas")
    fitted = Fitted(folder, about, allow_pickle=allow_pickle)
    try:
        fitted.columns, [m["weight"] for m in about["members"]]
        about["task"], about["target"], len(about["classes"]), about["left_out"], about["sparse"]
    except (KeyError, TypeError) as error:
        raise JobError(f"{folder / ABOUT} is broken ({error}); fit the model again") from None
    return fitted


# -- writing ------------------------------------------------------------------------------------


def write(
    folder: Path,
    about: dict[str, Any],
    members: Sequence[Pipe],
    probe: Any,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write pipelines and description, each whole or not at all, the description last; what it says.

    `probe`, some rows of the matrix, is predicted with what was read back: it has to be the same. Raises
    JobError if the folder cannot be written, and then holds the model that it held.
    """
    content = [
        {"pipeline": m.pipeline, "transformer": m.transformer, "fill": m.fill} for m in members
    ]
    draft = folder / ".pipelines.draft"
    try:
        kind, why = "skops", _write_skops(draft, content, members, probe)
        if why:
            kind = "joblib"
            say(
                f"saved with joblib, not skops ({why}): a joblib file can run any code when it is opened, so "
                "predict needs --allow-pickle; open it only where you trust whoever made it"
            )
            _write_joblib(draft, content)
        whole = {"recipe": RECIPE, "version": VERSION, **about}
        return put(folder, draft, f"pipelines.{kind}", whole)
    except OSError as error:
        raise JobError(
            f"the model cannot be written to {folder}: {error.strerror or error}"
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def _write_skops(draft: Path, content: Any, members: Sequence[Pipe], probe: Any) -> str:
    """Write the pipelines with skops; why not, if not."""
    try:
        import skops.io
    except ImportError:
        return "it is not installed"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            skops.io.dump(content, draft, compression=ZIP_DEFLATED, compresslevel=1)
            unknown = set(skops.io.get_untrusted_types(file=draft)) - TRUSTED
            if unknown:
                return f"it does not trust {', '.join(sorted(unknown)[:3])}"
            back = skops.io.load(draft, trusted=sorted(TRUSTED))
            for member, entry in zip(members, back, strict=True):
                again = _pipe(entry, member_about(member))
                if not np.allclose(again.predict(probe), member.predict(probe), equal_nan=True):
                    return "it did not give the same predictions back"
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever another library cannot store)
        return f"{type(error).__name__}: {str(error)[:100]}"
    return ""


def _write_joblib(draft: Path, content: Any) -> None:
    import joblib

    joblib.dump(content, draft, compress=3)


def member_about(pipe: Pipe) -> dict[str, Any]:
    """What model.json says of a pipeline beside its weight and config."""
    return {
        "present": list(pipe.present), "classes": pipe.classes, "reach": list(pipe.reach),
        "trees": pipe.trees, "shift": pipe.shift, "unsure": pipe.unsure,
    }  # fmt: skip


def _pipe(entry: dict[str, Any], about: dict[str, Any]) -> Pipe:
    return Pipe(
        entry["pipeline"],
        entry["transformer"],
        tuple(about["present"]),
        about["classes"],
        (about["reach"][0], about["reach"][1]),
        about["trees"],
        entry.get("fill"),
        about.get("shift", 0.0),
        about.get("unsure", 0.0),
    )


def _read_members(folder: Path, about: dict[str, Any], allow_pickle: bool) -> list[Pipe]:
    file = own_file(folder, about)
    if file.suffix != ".skops" and not allow_pickle:
        raise JobError(
            f"{file} is a pickle, which can run any code when it is opened; if you trust whoever made it, allow "
            "that: --allow-pickle on the command line, load_model(folder, allow_pickle=True) in Python"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if file.suffix == ".skops":
                need("skops")
                import skops.io

                content = skops.io.load(file, trusted=sorted(TRUSTED))
            else:
                import joblib

                content = joblib.load(file)
            return [_pipe(e, a) for e, a in zip(content, about["members"], strict=True)]
    except JobError:
        raise
    except Exception as error:  # noqa: BLE001 (a broken file, or another version's, raises anything)
        written = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
        raise JobError(
            f"{file} cannot be read ({type(error).__name__}: {str(error)[:200]}); it was written with {written}"
        ) from None
