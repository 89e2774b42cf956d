"""Keras 3: learning-rate schedules, and a callback that reports each epoch and ends training when its trial is to stop.

    optimizer = keras.optimizers.SGD(lr_schedule(0.1, Warmup(Cosine(900), 100), steps=1000))
    model.fit(x, y, validation_split=0.2, callbacks=[ReportCallback(trial, monitor="val_loss")])

Needs Keras: ``pip install 'tunesmith[keras]'``.
"""

from __future__ import annotations

from typing import Any

from tunesmith.core.errors import ConfigError
from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial
from tunesmith.training.schedules import ReduceOnPlateau, Schedule


def lr_schedule(learning_rate: float, schedule: Schedule | ReduceOnPlateau, *, steps: int) -> Any:
    """A ``keras.optimizers.schedules.LearningRateSchedule``: `learning_rate` times the factor.

    The factors of `steps` steps are computed once and looked up, so that it compiles on every
    backend (TensorFlow, JAX, PyTorch); later steps have the last one. It is saved with the model by
    value: ``get_config`` holds the factors. Raises ConfigError for `ReduceOnPlateau`, which follows a metric.
    """
    if isinstance(schedule, ReduceOnPlateau):
        mode = "min" if schedule.goal == "minimize" else "max"
        raise ConfigError(
            "the schedule 'plateau' follows a metric, and an optimizer's schedule the steps; give model.fit the callback "
            f"keras.callbacks.ReduceLROnPlateau(mode={mode!r}, factor={schedule.gamma:g}, "
            f"patience={schedule.patience + 1}), or leave plateau out of the space"
        )
    factors = [schedule(step) for step in range(steps + 1)]
    return table_class()(learning_rate, factors)


def table_class() -> Any:
    """The schedule's class, which exists once Keras is loaded; for ``custom_objects`` when loading a model."""
    global _TABLE
    if _TABLE is None:
        _TABLE = _define()
    return _TABLE


_TABLE: Any = None


def _define() -> Any:
    import keras
    from keras import ops

    @keras.saving.register_keras_serializable(package="tunesmith", name="FactorTable")
    class FactorTable(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        """Learning rates by step, from a table of factors, shape (steps + 1,)."""

        def __init__(self, learning_rate: float, factors: list[float]) -> None:
            super().__init__()
            self.learning_rate = learning_rate
            self.factors = factors
            self._table = ops.convert_to_tensor(factors, dtype="float32") * learning_rate

        def __call__(self, step: Any) -> Any:
            last = len(self.factors) - 1
            at = ops.minimum(ops.cast(step, "int32"), last)
            return ops.take(self._table, at)

        def get_config(self) -> dict[str, Any]:
            return {"learning_rate": self.learning_rate, "factors": self.factors}

    return FactorTable


def __getattr__(name: str) -> Any:
    """`ReportCallback`, a ``keras.callbacks.Callback``: its class exists once Keras is loaded."""
    if name != "ReportCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = callback = _define_callback()
    return callback


def _define_callback() -> Any:
    import keras

    class ReportCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Reports after each epoch that has what is monitored; steps are epochs from 1 on."""

        def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor) -> None:
            super().__init__()
            self._reporter = Reporter(trial, monitor)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self._reporter(epoch + 1, logs or {}):
                self.model.stop_training = True

        def on_train_end(self, logs: Any = None) -> None:
            self._reporter.end()

    return ReportCallback
