"""Learning-rate schedules as a conditional space."""

from __future__ import annotations

from typing import Any

from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Space
from tunesmith.spaces.compose import branches, joined, overridden


def lr_schedule(**overrides: Any) -> Space:
    """Which learning-rate schedule, and its values: `training.schedules.from_config` makes it.

    Everything is relative to the length of the training (shares of its steps, factors on the base
    learning rate), so that a space fits a long and a short one. ``schedule`` is the choice; the
    values of ``cosine`` are called ``cosine.end`` and so on; ``warmup`` (a share of the steps) goes
    before each that has no rise of its own. A keyword replaces a parameter, None takes it away.

    Sources of ranges: cosine to (nearly) zero with a short warm-up is what most papers end with
    (Loshchilov & Hutter 2017; Goyal et al. 2017), a rise of 0.3 is OneCycle's own default (Smith &
    Topin 2019), a decay over the last tenth to fifth is Hu et al.'s (2024).
    """
    end = Float(1e-4, 0.3, log=True, default=1e-2, group="optimizer")
    forms = {
        "constant": Space(),
        "step": Space(
            drops=Int(1, 5, default=2, group="optimizer"),
            gamma=Float(0.05, 0.7, log=True, default=0.1, group="optimizer"),
        ),
        "piecewise": Space(
            first=Float(0.2, 0.8, default=0.5, group="optimizer"),
            second=Float(0.4, 0.95, default=0.75, group="optimizer"),
            gamma=Float(0.05, 0.7, log=True, default=0.1, group="optimizer"),
        ).require("first < second"),
        "exponential": Space(end=end),
        "inverse_time": Space(end=end),
        "polynomial": Space(
            power=Float(0.5, 3.0, default=1.0, group="optimizer"),
            end=end,
        ),
        "cosine": Space(end=Float(1e-4, 0.3, log=True, default=1e-3, group="optimizer")),
        "cosine_restarts": Space(
            cycles=Int(2, 5, default=3, group="optimizer"),
            stretch=Choice(1, 2, ordered=True, default=2, group="optimizer"),
            shrink=Float(0.3, 1.0, default=1.0, group="optimizer"),
        ),
        "one_cycle": Space(
            rise=Float(0.1, 0.5, default=0.3, group="optimizer"),
            start=Float(0.01, 0.3, log=True, default=0.04, group="optimizer"),
        ),
        "warmup_stable_decay": Space(
            rise=Float(0.01, 0.2, log=True, default=0.05, group="optimizer"),
            decay=Float(0.05, 0.5, default=0.2, group="optimizer"),
        ),
        "plateau": Space(
            gamma=Float(0.1, 0.7, default=0.3, group="optimizer"),
            patience=Float(0.02, 0.2, log=True, default=0.05, group="optimizer"),
        ),
    }
    which = branches("schedule", forms, default="cosine", group="optimizer")
    rising = ["one_cycle", "warmup_stable_decay", "plateau"]
    warmup = Float(
        0.0,
        0.2,
        default=0.05,
        group="optimizer",
        when={"schedule": [name for name in forms if name not in rising]},
    )
    return overridden(joined(which, warmup=warmup), overrides)
