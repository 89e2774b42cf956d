"""Equal to Keras's own schedules. Keras says what its backend is when it is loaded: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

if find_spec("keras") is None or find_spec("torch") is None:
    pytest.skip("Keras or PyTorch is not installed", allow_module_level=True)

PROGRAM = """
import keras, numpy as np
from keras.optimizers import schedules as lib
from tunesmith.core.errors import ConfigError
from tunesmith.integrations.keras import lr_schedule
from tunesmith.training.schedules import *

RATE = 0.3
PAIRS = [
    (Exponential(0.9 ** (1 / 50)), lib.ExponentialDecay(RATE, 50, 0.9)),
    (Step(50, 0.9), lib.ExponentialDecay(RATE, 50, 0.9, staircase=True)),
    (Piecewise((51, 121), (1.0, 0.5, 0.1)), lib.PiecewiseConstantDecay([50, 120], [RATE, 0.5 * RATE, 0.1 * RATE])),
    (Polynomial(150, 2.0, 0.1), lib.PolynomialDecay(RATE, 150, 0.1 * RATE, power=2.0)),
    (InverseTime(0.7 / 30), lib.InverseTimeDecay(RATE, 30, 0.7)),
    (Cosine(200, 0.05), lib.CosineDecay(RATE, 200, alpha=0.05)),
    (Warmup(Cosine(180), 20), lib.CosineDecay(0.0, 180, warmup_target=RATE, warmup_steps=20)),
    (CosineRestarts(30, 2.0, 0.8, 0.01), lib.CosineDecayRestarts(RATE, 30, 2.0, 0.8, 0.01)),
    (CosineRestarts(30), lib.CosineDecayRestarts(RATE, 30, 1.0)),
]
for schedule, theirs in PAIRS:
    ours = lr_schedule(RATE, schedule, steps=400)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    for step in range(0, 300, 3):
        there = float(theirs(step))
        assert abs(RATE * schedule(step) - there) < 1e-6, (schedule, step, RATE * schedule(step), there)
        assert abs(float(ours(step)) - there) < 1e-6
        assert float(again(step)) == float(ours(step))
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(lr_schedule(0.1, Cosine(8), steps=8)), "mse")
model.fit(np.ones((32, 2)), np.ones((32, 1)), batch_size=4, epochs=1, verbose=0)
assert float(model.optimizer.learning_rate) < 1e-6
callback = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=3, min_delta=0.0, min_lr=0.01 * RATE)
model.compile(keras.optimizers.SGD(RATE), "mse")
callback.set_model(model)
callback.on_train_begin()
plateau, rng = ReduceOnPlateau(0.5, 2, threshold=0.0, least=0.01), np.random.default_rng(0)
for epoch in range(200):
    loss = float(np.exp(-epoch / 20) + 0.01 * rng.normal())
    plateau = plateau.observe(loss)
    callback.on_epoch_end(epoch, {"loss": loss})
    assert abs(float(model.optimizer.learning_rate) - RATE * plateau.factor) < 1e-6, epoch
assert plateau.factor < 0.1
config = {"schedule": "plateau", "plateau.gamma": 0.5, "plateau.patience": 0.05}
try:
    lr_schedule(RATE, from_config(config, 100), steps=100)
except ConfigError as error:
    assert "give model.fit the callback keras.callbacks.ReduceLROnPlateau(" in str(error)
    assert "mode='min', factor=0.5, patience=6" in str(error)
else:
    raise AssertionError
print("equal")
"""


def test_equal_to_kerass_own() -> None:
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().endswith("equal")


CALLBACK = """
import keras, numpy as np
import tunesmith as ts
from tunesmith.integrations.keras import ReportCallback

x = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
y = (x[:, :1] > 0).astype("float32")

def train(trial):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    callback = ReportCallback(trial, monitor={"val_loss": "loss"})
    seen = model.fit(x, y, validation_split=0.5, epochs=4, verbose=0, callbacks=[callback])
    assert model.predict(x, verbose=0).shape == y.shape
    return len(seen.epoch)

assert train(None) == 4
for worst, state, epochs in ((1e-9, ts.State.STOPPED, 1), (1e9, ts.State.COMPLETED, 4)):
    result = ts.tune(
        lambda config, trial: {"loss": float(train(trial))}, {"x": 1}, metric="loss", trials=1, progress=False,
        scheduler={"threshold": {"worst": worst}},
    )
    assert result.trials[0].state is state, result.trials[0]
    assert len(result.ledger.curves.of(0)) == epochs
"""


def test_the_callback_reports_each_epoch_and_stops() -> None:
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    run = subprocess.run(
        [sys.executable, "-c", CALLBACK],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
