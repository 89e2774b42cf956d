"""Hydra looks for its plugins here. What this one does is in `tunesmith.integrations.hydra`, loaded when it sweeps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper


@dataclass
class TunesmithSweeperConf:
    """``hydra/sweeper: tunesmith``, in the words of Hydra's sweeper for Optuna."""

    _target_: str = "hydra_plugins.tunesmith_sweeper.TunesmithSweeper"
    direction: Any = "minimize"
    n_trials: int = 20
    #: How many jobs are launched at a time.
    n_jobs: int = 1
    searcher: Any = "auto"
    seed: int | None = None
    #: A file, or the URL of a database, where the study is kept: the same call again goes on with it.
    storage: str | None = None
    study_name: str = "sweep"
    params: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/sweeper", name="tunesmith", node=TunesmithSweeperConf, provider="tunesmith"
)


class TunesmithSweeper(Sweeper):  # type: ignore[misc]
    """See `TunesmithSweeperConf`."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self.hydra_context = self.config = self.launcher = None

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from tunesmith.integrations.hydra import sweep

        def launch(batch: Sequence[Sequence[str]], first: int) -> Any:
            self.validate_batch_is_legal(batch)
            assert self.launcher is not None
            return self.launcher.launch(batch, initial_job_idx=first)

        assert self.hydra_context is not None
        sweep(self.config, self.hydra_context.config_loader, arguments, launch, **self._options)
