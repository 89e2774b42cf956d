"""Hydra: a sweeper that searches. In the program's configuration:

    defaults: [_self_, {override hydra/sweeper: tunesmith}]

and then ``python train.py --multirun 'lr=tag(log, interval(1e-5, 0.1))' 'model=small,large'``.

Needs Hydra 1.3: ``pip install 'tunesmith[hydra]'``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from omegaconf import OmegaConf

from tunesmith.core.errors import SpaceError, StudyError, StudyOver
from tunesmith.core.outcome import number
from tunesmith.core.space.parameter import Choice, Float, Int, Parameter
from tunesmith.core.space.space import Space
from tunesmith.core.trial import State, Trial
from tunesmith.files import write_text
from tunesmith.integrations.distributions import free_name
from tunesmith.store import open_store
from tunesmith.tuning.launch import match, open_or_create
from tunesmith.tuning.spec import make_spec
from tunesmith.tuning.study import Study

_LOG = logging.getLogger(__name__)


def sweep(
    config: Any,
    loader: Any,
    arguments: Sequence[str],
    launch: Callable[[Sequence[Sequence[str]], int], Any],
    *,
    direction: Any,
    n_trials: int,
    n_jobs: int,
    searcher: Any,
    seed: int | None,
    storage: str | None,
    study_name: str,
    params: Any,
) -> None:
    """Launch jobs with what a study suggests, `n_jobs` at a time; the best is in ``optimization_results.yaml``. A job that
    fails ends no sweep, but one in which none came to an end raises what the last one raised."""
    given = [f"{name}={value}" for name, value in dict(params or {}).items()]
    space, words, fixed = _read(
        OverridesParser.create(config_loader=loader).parse_overrides([*given, *arguments])
    )
    goals = [str(goal) for goal in ([direction] if isinstance(direction, str) else direction)]
    spec = make_spec(
        space,
        name=study_name,
        metric=["value"] if len(goals) == 1 else [f"value_{k}" for k in range(len(goals))],
        goal=goals,  # type: ignore[arg-type]
        searcher=OmegaConf.to_container(searcher) if OmegaConf.is_config(searcher) else searcher,
        seed=seed,
        limits={
            "trials": n_trials,
            "parallel": n_jobs,
            "failures_in_a_row": None,
            "same_error": None,
        },
    )
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    store = open_store(storage)
    try:
        study = open_or_create(store, spec)
        match(study, spec, spec.seed if seed is not None else None)
        error: BaseException | None = None
        while trials := _asked(study, n_jobs):
            batch = [
                [*fixed, *(words[name](value) for name, value in t.config.items())] for t in trials
            ]
            for trial, job in zip(trials, launch(batch, trials[0].number), strict=True):
                error = _tell(study, trial, job, [o.metric for o in spec.objectives]) or error
        best = _keep(study, folder, words)
        study._leave()  # noqa: SLF001
    finally:
        store.close()
    if error is not None and not best:
        raise error


def _asked(study: Study, n: int) -> list[Trial]:
    trials: list[Trial] = []
    while len(trials) < n:
        try:
            trials.append(study.ask())
        except StudyOver:
            break
    return trials


def _tell(study: Study, trial: Trial, job: Any, metrics: Sequence[str]) -> BaseException | None:
    """What came of a job; what it raised, if it did."""
    try:
        returned = job.return_value
    except Exception as error:  # noqa: BLE001 (whatever a job raises, the others go on)
        _LOG.warning("job %s failed: %s: %s", trial.number, type(error).__name__, error)
        study.tell(trial, failed=f"{type(error).__name__}: {error}")
        return error
    values = list(returned) if isinstance(returned, (list, tuple)) else [returned]
    if len(values) != len(metrics) or any(number(value) is None for value in values):
        wanted = "a number" if len(metrics) == 1 else f"{len(metrics)} numbers"
        problem = StudyError(f"the program's function has to return {wanted}, not {returned!r}")
        study.tell(trial, failed=str(problem))
        return problem
    study.tell(trial, dict(zip(metrics, values, strict=True)))
    return None


def _keep(study: Study, folder: Path, words: Mapping[str, Callable[[Any], str]]) -> list[Trial]:
    """The best, which is kept beside the jobs."""
    result = study.result()
    several = len(study.spec.objectives) > 1
    done = any(trial.state is State.COMPLETED for trial in result.trials)
    best = (result.front if several else [result.best]) if done else []
    found = [
        {
            "params": dict(words[n](v).split("=", 1) for n, v in t.config.items()),
            "values": list(t.values or ()),
        }
        for t in best
    ]
    text = OmegaConf.to_yaml(OmegaConf.create({"name": "tunesmith", "best": found}))
    write_text(folder / "optimization_results.yaml", text)
    return best


def _read(
    overrides: Sequence[Override],
) -> tuple[Space, dict[str, Callable[[Any], str]], list[str]]:
    """The space, how a value of it is an override, and the overrides that do not change. Raises SpaceError."""
    here: dict[str, Any] = {}
    words: dict[str, Callable[[Any], str]] = {}
    keys: dict[str, str] = {}
    fixed: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        for name in [name for name, known in keys.items() if known == key]:
            del here[name], words[name], keys[name]  # the command line comes after params
        fixed.pop(key, None)
        if not override.is_sweep_override():
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
            continue
        parameter, texts = _parameter(override)
        if parameter is None:
            fixed[key] = f"{key}={texts[0]}"
            continue
        name = free_name(override.key_or_group.replace("/", "."), here)
        here[name] = parameter

        def word(value: Any, key: str = key, texts: Mapping[Any, str] = texts) -> str:
            return f"{key}={texts.get(value, value)}"

        words[name], keys[name] = word, key
    return Space(here), words, list(fixed.values())


def _parameter(override: Override) -> tuple[Parameter | None, dict[Any, str]]:
    """A parameter, and the texts of its values where they are not those of Python; None for one value alone."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        log = "log" in value.tags
        if isinstance(value.start, int) and isinstance(value.end, int):
            return Int(value.start, value.end, log=log), {}
        if value.start is None or value.end is None:
            raise SpaceError(f"{override.input_line}: an interval has two ends")
        return Float(float(value.start), float(value.end), log=log), {}
    elements = list(override.sweep_iterator(transformer=Transformer.identity))
    texts = [str(Transformer.encode(element)) for element in elements]
    if len(texts) == 1:
        return None, {0: texts[0]}
    if isinstance(value, RangeSweep) and all(isinstance(v, int) for v in (value.start, value.step)):
        first, last = sorted((int(texts[0]), int(texts[-1])))
        return Int(first, last, step=abs(int(value.step)), log="log" in value.tags), {}
    labels: list[Any] = [
        element if isinstance(element, (bool, int, float)) else text
        for element, text in zip(elements, texts, strict=True)
    ]
    if len(set(labels)) < len(labels):  # 1 and 1.0, say
        labels = list(texts)
    numbers = all(type(label) in (int, float) for label in labels) and len(labels) > 2
    ordered = numbers and labels in (sorted(labels), sorted(labels, reverse=True))
    return Choice(*labels, ordered=ordered), {
        label: str(text) for label, text in zip(labels, texts, strict=True)
    }
