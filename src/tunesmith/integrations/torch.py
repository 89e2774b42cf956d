"""PyTorch: learning-rate schedules and optimizers from configs.

    optimizer = make_optimizer(config, model.parameters())
    scheduler = lr_scheduler(optimizer, schedules.from_config(config, steps))
    loop = Loop(trial, epochs=50, model=model, optimizer=optimizer, scheduler=scheduler)
    for epoch in loop:                          # goes on where an earlier attempt was
        ...
        optimizer.step()
        scheduler.step()
        loop.report(loss=loss)                  # keeps the state, and ends the loop where the trial is to stop

Needs PyTorch: ``pip install 'tunesmith[torch]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tunesmith.core.errors import ConfigError, did_you_mean
from tunesmith.integrations import loop
from tunesmith.run.live import LiveTrial
from tunesmith.spaces.compose import part
from tunesmith.training.schedules import ReduceOnPlateau, Schedule


def lr_scheduler(optimizer: Any, schedule: Schedule | ReduceOnPlateau) -> Any:
    """A ``torch.optim.lr_scheduler``: each group's learning rate is its first one times the factor.

    It has ``step()``, ``state_dict()`` and ``load_state_dict()``; for `ReduceOnPlateau` it is PyTorch's
    own class, whose ``step(metric)`` takes the metric.
    """
    from torch.optim import lr_scheduler as lib

    if isinstance(schedule, ReduceOnPlateau):
        return lib.ReduceLROnPlateau(
            optimizer,
            mode="min" if schedule.goal == "minimize" else "max",
            factor=schedule.gamma,
            patience=schedule.patience,
            threshold=schedule.threshold,
            cooldown=schedule.cooldown,
            min_lr=[schedule.least * group["lr"] for group in optimizer.param_groups],
        )

    def factor(step: int) -> float:  # a plain function: the scheduler's state is the step alone
        return schedule(step)

    return lib.LambdaLR(optimizer, factor)


def make_optimizer(config: Mapping[str, Any], parameters: Iterable[Any]) -> Any:
    """The optimizer of a config of ``ts.spaces.torch_optimizer()`` for a model's parameters.

    Raises ConfigError for an optimizer that is not one of them.
    """
    from torch import optim

    classes: dict[str, Callable[..., Any]] = {
        "sgd": optim.SGD,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
        "rmsprop": optim.RMSprop,
        "adadelta": optim.Adadelta,
        "adagrad": optim.Adagrad,
    }
    name = str(config.get("optimizer"))
    if name not in classes:
        raise ConfigError(f"there is no optimizer {name!r} here{did_you_mean(name, classes)}")
    options = part(config, name)
    if "learning_rate" not in options:
        raise ConfigError(f"the config has no {name}.learning_rate, which {name} needs")
    options["lr"] = options.pop("learning_rate")
    options.setdefault("weight_decay", config.get("weight_decay", 0.0))
    if "nesterov" in options and not options.get("momentum"):
        options["nesterov"] = False
    return classes[name](parameters, **options)


def range_test(
    make_model: Callable[[], Any],
    batches: Iterable[tuple[Any, Any]],
    loss: Callable[[Any, Any], Any],
    *,
    make_optimizer: Callable[..., Any] | None = None,
    device: str = "cpu",
) -> Callable[[int], Callable[[float], float]]:
    """What `tunesmith.find_learning_rate` takes, for a model of PyTorch.

    ``make_model()`` gives a fresh model, ``loss(model(inputs), targets)`` the loss; `batches` (a list, or a
    DataLoader) is walked through again and again. ``make_optimizer(parameters, lr=..)`` is SGD if not given; take
    the one that you will train with.
    """

    def start(seed: int) -> Callable[[float], float]:
        import torch

        torch.manual_seed(seed)
        model = make_model().to(device).train()
        make = make_optimizer or torch.optim.SGD
        optimizer = make(model.parameters(), lr=1e-3)
        stream = _forever(batches)

        def step(rate: float) -> float:
            inputs, targets = next(stream)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = loss(model(inputs.to(device)), targets.to(device))
            value.backward()
            optimizer.step()
            return float(value.detach())

        return step

    return start


class Loop(loop.Loop):
    """See `tunesmith.integrations.loop.Loop`. `parts` are what has a ``state_dict``: the model, the optimizer, the scheduler."""

    def __init__(self, trial: LiveTrial | None, epochs: int, **parts: Any) -> None:
        self._parts = parts
        super().__init__(trial, epochs, self._taken_out, self._put_back)

    def _taken_out(self) -> dict[str, Any]:
        return {name: one.state_dict() for name, one in self._parts.items()}

    def _put_back(self, state: dict[str, Any]) -> None:
        for name, one in self._parts.items():
            one.load_state_dict(state[name])


def _forever(batches: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ConfigError(
                "there are no batches to train on (a generator is used up after one pass)"
            )
