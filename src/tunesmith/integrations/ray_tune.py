"""Ray Tune: our searchers in its experiments.

    tune.Tuner(train, param_space=space, tune_config=tune.TuneConfig(search_alg=TunesmithSearch(metric="loss", mode="min"), num_samples=50))

Needs Ray 2.49 or later: ``pip install 'tunesmith[ray]' 'ray[tune]'``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.sample import (
    Categorical,
    Domain,
    Float,
    Integer,
    LogUniform,
    Normal,
    Quantized,
    Uniform,
)
from ray.tune.search.variant_generator import parse_spec_vars
from ray.tune.utils.util import flatten_dict, unflatten_dict

from tunesmith import Float as OurFloat
from tunesmith import Int as OurInt
from tunesmith.core.errors import SpaceError, StudyError, StudyOver, StudyWaits
from tunesmith.core.space.prior import Normal as OurNormal
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Searcher as OurSearcher
from tunesmith.integrations.distributions import Distributions, Read, free_name, read_parameter
from tunesmith.integrations.elsewhere import Elsewhere
from tunesmith.integrations.sweeps import DEVIATIONS


class TunesmithSearch(Searcher):  # type: ignore[misc]
    """A search algorithm for ``ray.tune`` that suggests as tunesmith does; ``searcher`` as in `tunesmith.tune`.

    The space is `space`, or ``Tuner``'s ``param_space``: Tune's own distributions, nested as there, or a `Space` as
    `space`. `metric` and `mode` may be lists: several objectives. `points_to_evaluate` are run first. A trial that Tune's
    scheduler ends counts with what it reported last. Raises SpaceError for what has no place in a space (``sample_from``,
    ``grid_search``).
    """

    def __init__(
        self,
        space: Mapping[str, Any] | Space | None = None,
        metric: str | Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        *,
        searcher: str | Mapping[str, Any] | OurSearcher = "auto",
        seed: int | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._searcher = searcher
        self._seed = secrets.randbits(32) if seed is None else seed
        self._points = [dict(point) for point in points_to_evaluate]
        self._space = space
        self._fixed: dict[str, Any] = {}
        self._read: Distributions | None = None if space is None else self._reading(space)
        #: All that is known: what each trial ran, and how it ended. The study is made anew from it.
        self._trials: dict[str, dict[str, Any]] = {}
        self._elsewhere: Elsewhere | None = None

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        if self._read is not None and config:
            return False
        self._metric: Any = metric or self._metric
        self._mode: Any = mode or self._mode
        if config:
            self._space, self._read = config, self._reading(config)
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        study, read = self._study()
        try:
            config = self._point(study, read, trial_id) if self._points else study.ask(trial_id)
        except StudyOver:
            return str(Searcher.FINISHED)
        except StudyWaits:
            return None
        self._trials[trial_id] = {"config": config}
        return self._nested(read.parameters(config))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        values = self._values(result)
        if trial_id in self._trials and len(values) == len(self._metrics):
            self._trials[trial_id]["last"] = values

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if trial_id not in self._trials:
            return
        # a paused trial that Tune's scheduler gives up has no result here
        values = self._values(result) if result else self._trials[trial_id].get("last")
        end: dict[str, Any] = {
            "values": None if error else values,
            "failed": "failed in Ray Tune" if error else "",
        }
        self._trials[trial_id]["end"] = end
        self._study()[0].tell(trial_id, end["values"], end["failed"])

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        study, read = self._study()
        name = f"evaluated {len(self._trials)}"
        config = self._config(read, parameters)
        if not pruned and study.take(name, config):
            end: dict[str, Any] = {
                "values": None if error else {self._metrics[0]: value},
                "failed": "",
            }
            self._trials[name] = {"config": config, "end": end}
            study.tell(name, end["values"])

    def save(self, checkpoint_path: str) -> None:
        state = {"seed": self._seed, "trials": self._trials, "points": self._points}
        Path(checkpoint_path).write_text(json.dumps(state))

    def restore(self, checkpoint_path: str) -> None:
        state = json.loads(Path(checkpoint_path).read_text())
        self._seed, self._trials, self._points = state["seed"], state["trials"], state["points"]
        self._elsewhere = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_elsewhere": None, "_read": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._read = None if self._space is None else self._reading(self._space)

    # -- the study ------------------------------------------------------------------------------

    @property
    def _metrics(self) -> list[str]:
        named = self._metric
        if named is None:
            raise StudyError("TunesmithSearch needs a metric and a mode, here or in TuneConfig")
        return [named] if isinstance(named, str) else list(named)

    def _values(self, result: Mapping[str, Any]) -> dict[str, float]:
        return {m: float(result[m]) for m in self._metrics if result.get(m) is not None}

    def _study(self) -> tuple[Elsewhere, Distributions]:
        """The study, with all that is known."""
        if self._read is None:
            raise StudyError(
                "TunesmithSearch needs a space: give Tuner param_space, or space= here"
            )
        if self._elsewhere is None:
            modes = [self._mode] if isinstance(self._mode, str) else list(self._mode or ["min"])
            self._elsewhere = Elsewhere(
                self._read.space,
                self._metrics,
                ["maximize" if mode == "max" else "minimize" for mode in modes],
                self._searcher,
                self._seed,
            )
            for name, trial in self._trials.items():
                if self._elsewhere.take(name, trial["config"]) and "end" in trial:
                    self._elsewhere.tell(name, trial["end"]["values"], trial["end"]["failed"])
        return self._elsewhere, self._read

    def _point(self, study: Elsewhere, read: Distributions, trial_id: str) -> Config:
        config = self._config(read, self._points.pop(0))
        if not study.take(trial_id, config):
            raise SpaceError(f"points_to_evaluate: {config} is not in the space")
        return study.study.space.complete(config)

    def _config(self, read: Distributions, parameters: Mapping[str, Any]) -> Config:
        """Tune's parameters as a config; what the space does not have is left out."""
        flat = flatten_dict(dict(parameters))
        return read.config({name: value for name, value in flat.items() if name in read.theirs})

    def _reading(self, written: Mapping[str, Any] | Space) -> Distributions:
        if isinstance(written, Space):
            return Distributions(written, {name: (name, None) for name in written})
        if parse_spec_vars(dict(written))[2]:
            raise SpaceError("grid_search has no place in a search; write tune.choice([...])")
        flat = flatten_dict(dict(written), prevent_delimiter=True)
        _, domains, _ = parse_spec_vars(flat)
        here: dict[str, Any] = {}
        names: dict[str, Any] = {}
        for path, domain in domains:
            there = "/".join(path)
            read = _parameter(there, domain)
            name = free_name(there.replace("/", "."), here)
            here[name], names[name] = read.parameter, (there, read.value)
        self._fixed = {name: value for name, value in flat.items() if not isinstance(value, Domain)}
        return Distributions(Space(here), names)

    def _nested(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        nested: dict[str, Any] = unflatten_dict({**self._fixed, **parameters})
        return nested


def _parameter(name: str, domain: Any) -> Read:
    """One of Tune's distributions. Raises SpaceError."""
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, Quantized):
        step, sampler = sampler.q, sampler.get_sampler()
    if isinstance(domain, Categorical):
        return read_parameter(name, list(domain.categories))
    log = isinstance(sampler, LogUniform)
    if isinstance(domain, Integer) and isinstance(sampler, (Uniform, LogUniform)):
        high = domain.upper - int(step is None)
        whole = OurInt(domain.lower, high, log=log, step=int(step or 1))
        return read_parameter(name, whole)
    if isinstance(domain, Float) and isinstance(sampler, (Uniform, LogUniform)):
        return read_parameter(name, OurFloat(domain.lower, domain.upper, log=log, step=step))
    if isinstance(domain, Float) and isinstance(sampler, Normal) and step is None:
        low, high = (sampler.mean + sign * DEVIATIONS * sampler.sd for sign in (-1, 1))
        return read_parameter(name, OurFloat(low, high, prior=OurNormal(sampler.mean, sampler.sd)))
    steps = "" if step is None else f" in steps of {step}"
    raise SpaceError(
        f"{name}: {type(domain).__name__} with {type(sampler).__name__}{steps} has no place in a space; write tune.uniform, loguniform, "
        "randint, choice, or a space of tunesmith's"
    )
