"""Stable-Baselines3: a callback that reports the mean return and ends learning when its trial is to stop.

    model.learn(50_000, callback=ReportCallback(trial))

Needs Stable-Baselines3 2: ``pip install 'tunesmith[stable-baselines3]'``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial

#: The mean return of the last episodes, as Stable-Baselines3 logs it.
RETURN: Final = "ep_rew_mean"


class ReportCallback(BaseCallback):  # type: ignore[misc]
    """Reports after each rollout that has ended episodes (``ep_rew_mean``, ``ep_len_mean``); steps are time steps."""

    def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor = RETURN) -> None:
        super().__init__()
        self._reporter = Reporter(trial, monitor)

    def _on_rollout_end(self) -> None:
        ended = list(self.model.ep_info_buffer or [])
        if ended:
            self._reporter(
                self.num_timesteps, {RETURN: _mean(ended, "r"), "ep_len_mean": _mean(ended, "l")}
            )

    def _on_training_end(self) -> None:
        self._reporter.end()

    def _on_step(self) -> bool:
        return not self._reporter.stop


def _mean(episodes: list[Any], key: str) -> float:
    return float(np.mean([episode[key] for episode in episodes]))
