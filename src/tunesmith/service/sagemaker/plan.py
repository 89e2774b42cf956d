"""What the process of a training is told: a file beside its job's, written once; it has no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

FILE = "plan.json"
#: Where trainings write how they stand, a line each time.
MOVES = "moves.jsonl"
#: In a trial's folder: somebody asks for its end.
STOP = "stop-requested"
#: The metric of a training job that no tuning job has: how long it took (s).
SECONDS = "training_seconds"
#: The channel in which version 3 of the SDK sends its own way to start a script.
DRIVERS = "sm_drivers"


class Training(Struct, frozen=True, omit_defaults=True):
    """One definition of a tuning job, or a training job."""

    image: str
    #: By the hyperparameters' own names.
    hyperparameters: dict[str, str]
    #: By name of the study's parameter: the hyperparameter.
    parameters: dict[str, str]
    #: What is run: one of these, see `configuration.Image`.
    command: list[str] | None = None
    script: str | None = None
    #: Whether what the script is, is said in a channel of the SDK's, version 3, and no hyperparameters.
    drivers: bool = False
    algorithm: str | None = None
    cwd: str | None = None
    environment: dict[str, str] = {}
    #: By metric: the regular expression.
    metrics: dict[str, str] = {}
    #: The metric that counts; "" for none.
    metric: str = ""
    channels: list[dict[str, Any]] = []
    output: str = ""
    compressed: bool = True
    resources: dict[str, Any] = {}
    max_runtime_s: int | None = None
    max_wait_s: int | None = None
    checkpoints: str | None = None
    checkpoint_path: str = "/opt/ml/checkpoints"
    #: After so many values of the metric it is stopped.
    most_steps: int | None = None


class Plan(Struct, frozen=True, omit_defaults=True):
    """A tuning job's or a training job's."""

    job: str
    #: See `names.training_name`.
    identity: str
    configuration: str
    region: str
    account: str
    #: The study's metric.
    objective: str
    trainings: dict[str, Training]
    #: The study's parameter that says which of several it is.
    which: str | None = None
    #: Whether `job` is a tuning job, and no training job itself.
    tuning: bool = True

    def training_of(self, config: Mapping[str, Any]) -> tuple[str, Training]:
        """The definition of a trial with `config`, and its name."""
        name = str(config[self.which]) if self.which else next(iter(self.trainings))
        return name, self.trainings[name]


class Move(Struct, frozen=True, omit_defaults=True):
    """What a training's process says: where it stands, and its end if it is one."""

    trial: int
    attempt: int
    at: float
    secondary: str
    message: str = ""
    #: The status that it ends with: Completed, Failed or Stopped; "" while it goes on.
    end: str = ""
    #: Last values, by metric, with when they were printed.
    metrics: dict[str, tuple[float, float]] = {}
