"""Optuna: our searchers in its studies, and studies carried over, both ways.

    study = optuna.create_study(sampler=TunesmithSampler(seed=0), storage="sqlite:///optuna.db")
    export_study(ts.Study.open(storage="study.db"), "sqlite:///optuna.db")
    import_study("sqlite:///optuna.db", "train", storage="study.db")

Needs Optuna 5: ``pip install 'tunesmith[optuna]'``.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tunesmith import search
from tunesmith.core.errors import SpaceError
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.rng import stream
from tunesmith.core.strategy import Searcher, Suggestion
from tunesmith.integrations.asked import Asked, learn, widened
from tunesmith.integrations.distributions import Read, read_optuna
from tunesmith.integrations.optuna_studies import export_study, import_study
from tunesmith.integrations.optuna_trials import Recorder, constraint_metrics, metrics_of, spec_of

#: Where a trial keeps what was suggested for it.
SUGGESTED: Final = "tunesmith:suggested"
#: So many suggestions are asked for, at most, to find one that has not been run.
_ASKED: Final = (1, 4, 16)
#: So often at most, where others suggest the same at the same moment: each writes, then looks, so that one of two sees it.
_AGAIN: Final = 4

__all__ = ["TunesmithSampler", "export_study", "import_study"]


class TunesmithSampler(BaseSampler):  # type: ignore[misc]
    """A sampler for Optuna's studies that suggests as tunesmith does: ``searcher`` as in `tunesmith.tune`.

    The objective may ask as it likes: when a parameter is asked for is learned from the trials. What is asked for in a trial by no
    rule that was found, or for the first time, is drawn at random. Pruned trials are evidence, several objectives and
    constraints are searched as such (`constraints_func` as Optuna's samplers had it before version 5). All it knows is in
    Optuna's storage: processes may share a study. With `seed`, one process alone finds the same again.
    """

    def __init__(
        self,
        searcher: str | Mapping[str, Any] | Searcher = "auto",
        *,
        seed: int | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
    ) -> None:
        self._searcher = searcher
        self._seed = seed
        self._constraints_func = constraints_func
        self._random = RandomSampler(seed)
        self._drawn_with = secrets.randbits(32) if seed is None else seed
        self._lock = threading.Lock()
        self._mirrors: dict[tuple[Any, int], _Mirror] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_mirrors")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._mirrors = threading.Lock(), {}

    def reseed_rng(self) -> None:
        """Other numbers for this process than for its siblings; a seed that was given stays."""
        self._random.reseed_rng()
        if self._seed is None:
            self._drawn_with = secrets.randbits(32)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        with self._lock:
            return self._mirror(study).update(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        fixed = trial.system_attrs.get("fixed_params", {})
        if not search_space or search_space.keys() <= fixed.keys():
            return {}
        with self._lock:
            mirror = self._mirror(study)
            for again in range(_AGAIN):
                values = mirror.suggest(trial, again)
                # for others who suggest before this trial has asked for all of it
                study._storage.set_trial_system_attr(trial._trial_id, SUGGESTED, values)  # noqa: SLF001
                mirror.update(study, trial)
                if not mirror.has(values):  # nobody has written the same at the same moment
                    break
        return values

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        try:
            read = read_optuna(param_name, param_distribution)
        except SpaceError:  # more whole numbers than there are doubles
            return self._random.sample_independent(study, trial, param_name, param_distribution)
        rng = stream(self._drawn_with, trial.number, param_name)
        value = read.parameter.decode(float(rng.random()))  # type: ignore[union-attr]
        return value if read.value is None else read.value(value)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        if self._constraints_func is not None:
            from optuna.samplers._base import _process_constraints_after_trial

            _process_constraints_after_trial(self._constraints_func, study, trial, state)

    def _mirror(self, study: Study) -> _Mirror:
        key = (study._storage, study._study_id)  # noqa: SLF001 (another storage may have the name, or a later study)
        if key not in self._mirrors:
            self._mirrors[key] = _Mirror(self._searcher, self._seed)
        return self._mirrors[key]


class _Mirror:
    """One of Optuna's studies as a history of ours; made anew when more is known of its space."""

    def __init__(self, searcher: Any, seed: int | None) -> None:
        self.searcher, self.seed = searcher, seed
        self.read: dict[str, Read] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        #: What finished trials asked for, by number.
        self.finished: dict[int, FrozenTrial] = {}
        self.asked: Asked | None = None
        self.constraints: tuple[str, ...] = ()
        self.recorder: Recorder | None = None
        self.memo: dict[Any, Any] = {}

    def update(self, study: Study, current: FrozenTrial) -> dict[str, BaseDistribution]:
        """Take in what the study's trials have done; the distributions that are known."""
        study = getattr(study, "_study", study)  # with Hyperband, the trials of one bracket alone
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != current.number]
        news = [t for t in trials if t.state.is_finished() and t.number not in self.finished]
        stale = self.asked is None
        for trial in news:
            self.finished[trial.number] = trial
            stale = self._take_distributions(trial) or stale
            stale = stale or not self._expected(trial)
        constraints = (
            tuple(dict.fromkeys(n for t in [*self.finished.values()] for n in t.constraints))
            if news
            else self.constraints
        )
        if stale or constraints != self.constraints:
            self.constraints = constraints
            self._begin(study)
            news = list(self.finished.values())
        if self.recorder is None or self.asked is None:
            return {}
        for trial in news:
            self.recorder.record(trial, self.asked.config(trial.params))
        for trial in trials:
            if trial.state is TrialState.RUNNING:
                values = {**trial.system_attrs.get(SUGGESTED, {}), **trial.params}
                self.recorder.running(trial, self.asked.config(values))
        return {name: d for name, d in self.distributions.items() if name in self.asked.names}

    def suggest(self, trial: FrozenTrial, again: int = 0) -> dict[str, Any]:
        """Values for a trial, by the program's own names; none where there is nothing to go by. `again` and again, it is one
        of several that is drawn, as who suggests at the same moment would go on to suggest the same."""
        if self.recorder is None or self.asked is None:
            return {}
        ledger = self.recorder.ledger
        searcher, space = search.make(ledger.spec.searcher), ledger.spec.space
        history = History(ledger, memo=self.memo)
        for asked in _ASKED[1:] if again else _ASKED:
            rng = stream(ledger.spec.seed, trial.number, "suggest")  # no two trials have the same
            suggested = searcher.suggest(space, history, asked, rng)
            configs = [s.config if isinstance(s, Suggestion) else s for s in suggested]
            if fresh := [config for config in configs if ledger.find(config) is None]:
                drawn = stream(ledger.spec.seed, trial.number, f"again {again}") if again else None
                which = 0 if drawn is None else int(drawn.integers(len(fresh)))
                return self.asked.values(fresh[which])
        return {}

    def has(self, values: Mapping[str, Any]) -> bool:
        """Whether another trial has these values."""
        if not values or self.recorder is None or self.asked is None:
            return False
        return self.recorder.ledger.find(self.asked.config(values)) is not None

    def _take_distributions(self, trial: FrozenTrial) -> bool:
        """Whether a trial had distributions that are news."""
        news = False
        for name, distribution in trial.distributions.items():
            if self.distributions.get(name) == distribution:
                continue
            try:
                read = read_optuna(name, distribution)
            except SpaceError:
                continue  # more whole numbers than there are doubles: drawn at random
            known = self.read.get(name)
            self.distributions[name] = distribution
            self.read[name] = read if known is None else widened(known, read)
            news = news or known is None or known.parameter != self.read[name].parameter
        return news

    def _expected(self, trial: FrozenTrial) -> bool:
        """Whether a trial asked for what was to be expected; one that failed may not have come to ask for all."""
        if self.asked is None or trial.state is TrialState.FAIL:
            return True
        return self.asked.agrees(trial.params)

    def _begin(self, study: Study) -> None:
        """Begin the history anew, with what is known of the space."""
        whole = [t.params for t in self.finished.values() if t.state is not TrialState.FAIL]
        asked = learn({n: r for n, r in self.read.items() if any(n in t for t in whole)}, whole)
        self.memo, self.recorder = {}, None
        self.asked = asked
        if not asked.space.tunables:
            return
        limits = constraint_metrics(self.constraints, asked.space, metrics_of(study))
        spec = spec_of(
            study, asked.space, limits, searcher=self.searcher, seed=self.seed, duplicates=False
        )
        self.seed = spec.seed
        self.recorder = Recorder(Ledger(spec), limits)
