"""Weights & Biases as a tracker: see `tunesmith.integrations.wandb`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import wandb

from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Report, State, Trial
from tunesmith.integrations.kept import Kept


class WandbLogger:
    """A tracker: a run for each trial, in a group named like the study; configs are the runs' configs, states are in their
    summaries (``tunesmith.state``), and a trial that failed has a run that failed.

    Nothing leaves this machine unless `mode` says so: runs are written below `dir`, and ``wandb sync`` uploads them. A study that
    is resumed goes on with them: runs of trials that have ended stay as they are, the others are written anew.
    """

    def __init__(
        self,
        project: str = "tunesmith",
        *,
        dir: str | Path = ".",  # noqa: A002 (as W&B calls it)
        mode: str = "offline",
        entity: str | None = None,
    ) -> None:
        self._where = {"project": project, "entity": entity, "mode": mode, "dir": str(dir)}
        self._dir = Path(dir)
        self._runs: dict[int, Any] = {}

    def begin(self, study: StudySpec) -> None:
        self._study = study
        self._kept = Kept(self._dir / "wandb" / f"tunesmith-{study.name}.jsonl", study)

    def start(self, trial: Trial) -> None:
        self._kept.check(trial)
        number = trial.number
        if self._kept.whole(number):
            return
        if left := self._kept.place(number):  # an earlier call did not come to its end
            shutil.rmtree(self._dir / "wandb" / left, ignore_errors=True)
        digest = hashlib.sha256(f"{self._study.name} {self._study.seed}".encode()).hexdigest()
        run = wandb.init(
            **self._where,
            group=self._study.name,
            name=f"trial {number}",
            id=f"{digest[:10]}-{number}",
            config=trial.config,
            tags=[self._study.name],
            reinit="create_new",
            resume="allow" if self._where["mode"] == "online" else None,
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        self._runs[number] = run
        self._kept.begin(trial, Path(run.settings.sync_dir).name)
        run.summary["tunesmith.trial"] = number

    def report(self, trial: int, reports: Sequence[Report]) -> None:
        if trial in self._runs:
            for report in reports:
                self._runs[trial].log(dict(report.metrics), step=report.step)

    def end(self, trial: Trial) -> None:
        run = self._runs.pop(trial.number, None)
        if run is None:
            return
        run.summary.update({**trial.metrics, "tunesmith.state": str(trial.state)})
        if trial.reason is not None:
            run.summary["tunesmith.reason"] = str(trial.reason)
        run.finish(exit_code=int(trial.state is State.FAILED))
        self._kept.end(trial.number)

    def close(self) -> None:
        for run in self._runs.values():
            run.finish(exit_code=1)
        self._runs.clear()


TRACKER: Final = WandbLogger
