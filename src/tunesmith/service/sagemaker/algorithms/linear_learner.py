"""Linear learner, as SageMaker's algorithm of that name: one linear model, by stochastic gradient descent (Adam or SGD)."""

from __future__ import annotations

import json
from typing import Final

import numpy as np

from tunesmith.service.sagemaker.algorithms import WITHOUT_EFFECT, scores
from tunesmith.service.sagemaker.algorithms.inputs import Floats, Inputs, Rows, fail, fit_width, say

_KINDS: Final = ("regressor", "binary_classifier", "multiclass_classifier")
_LOSSES: Final = ("auto", "squared_loss", "absolute_loss", "logistic", "softmax_loss")


class Learner:
    """Weights, shape (d + 1, outputs), the last row of which is the bias."""

    def __init__(self, inputs: Inputs, train: Rows) -> None:
        self.kind = str(inputs.take("predictor_type", ""))
        if self.kind not in _KINDS:
            fail(
                f"the hyperparameter predictor_type is one of {', '.join(_KINDS)}, not {self.kind!r}"
            )
        loss = str(inputs.take("loss", "auto"))
        if loss not in _LOSSES:
            fail(f"loss is one of {', '.join(_LOSSES)} here, not {loss!r}")
        self.absolute = loss == "absolute_loss"
        self.rate = inputs.number("learning_rate", 0.005, least=0.0)
        self.l1 = inputs.number("l1", 0.0, least=0.0)
        self.decay = inputs.number("wd", 0.0, least=0.0)
        self.batch = int(inputs.number("mini_batch_size", 1000, least=1))
        optimizer = str(inputs.take("optimizer", "auto"))
        if optimizer not in ("auto", "adam", "sgd"):
            fail(f"optimizer is adam or sgd here, not {optimizer!r}")
        self.adam = optimizer != "sgd"
        self.bias = str(inputs.take("use_bias", True)).lower() != "false"
        normal = str(inputs.take("normalize_data", "auto")).lower() != "false"
        self.centre = train.features.mean(axis=0) if normal else np.zeros(train.features.shape[1])
        spread = train.features.std(axis=0)
        self.spread = np.where(spread > 0, spread, 1.0) if normal else np.ones(len(spread))
        self.classes = int(train.labels.max()) + 1
        if self.kind == "multiclass_classifier":
            self.classes = int(inputs.number("num_classes", self.classes, least=2))
        if self.kind != "regressor" and (train.labels < 0).any():
            fail("labels of classes are 0, 1, ...")
        outputs = self.classes if self.kind == "multiclass_classifier" else 1
        #: Targets of a regression are centred and scaled while it is learned.
        regression = self.kind == "regressor"
        self.shift = float(train.labels.mean()) if regression else 0.0
        self.scale = (float(train.labels.std()) or 1.0) if regression else 1.0
        self.weights = np.zeros((train.features.shape[1] + 1, outputs))
        self._first, self._second, self._steps = (
            np.zeros_like(self.weights),
            np.zeros_like(self.weights),
            0,
        )

    def _inputs(self, features: Floats) -> Floats:
        normal = (features - self.centre) / self.spread
        return np.hstack([normal, np.full((len(normal), 1), float(self.bias))])

    def epoch(self, train: Rows, rng: np.random.Generator) -> None:
        """Go through all rows once."""
        x, y = self._inputs(train.features), (train.labels - self.shift) / self.scale
        order = rng.permutation(len(y))
        for begin in range(0, len(y), self.batch):
            part = order[begin : begin + self.batch]
            self._step(x[part], y[part])

    def _step(self, x: Floats, y: Floats) -> None:
        out = x @ self.weights
        if self.kind == "multiclass_classifier":
            error = _softmax(out) - np.eye(self.classes)[y.astype(int)]
        elif self.kind == "binary_classifier":
            error = _sigmoid(out) - y[:, None]
        else:
            error = out - y[:, None]
            error = np.sign(error) if self.absolute else error
        gradient = x.T @ error / len(y)
        gradient[:-1] += self.decay * self.weights[:-1] + self.l1 * np.sign(self.weights[:-1])
        if not self.adam:
            self.weights -= self.rate * gradient
            return
        self._steps += 1
        self._first = 0.9 * self._first + 0.1 * gradient
        self._second = 0.999 * self._second + 0.001 * gradient**2
        first = self._first / (1 - 0.9**self._steps)
        second = self._second / (1 - 0.999**self._steps)
        self.weights -= self.rate * first / (np.sqrt(second) + 1e-8)

    def scores(self, rows: Rows) -> dict[str, float]:
        """Metrics by SageMaker's names."""
        out, y = self._inputs(rows.features) @ self.weights, rows.labels
        if self.kind == "regressor":
            guess = out[:, 0] * self.scale + self.shift
            squared, absolute = scores.mse(y, guess), float(np.abs(y - guess).mean())
            return {
                "objective_loss": absolute if self.absolute else squared, "mse": squared, "rmse": squared**0.5,
                "absolute_loss": absolute, "r2": scores.r2(y, guess),
            }  # fmt: skip
        if self.kind == "binary_classifier":
            guess, loss = (
                (out[:, 0] > 0).astype(np.float64),
                float(np.logaddexp(0, out[:, 0]).mean() - (y * out[:, 0]).mean()),
            )
            return {
                "objective_loss": loss, "binary_classification_cross_entropy": loss,
                "binary_classification_accuracy": scores.accuracy(y, guess), "binary_f_1.000": scores.f1_binary(y, guess),
                "precision": scores.precision(y, guess), "recall": scores.recall(y, guess),
                "roc_auc_score": scores.roc_auc(y, out[:, 0]),
            }  # fmt: skip
        chance = _softmax(out)[np.arange(len(y)), np.minimum(y.astype(int), self.classes - 1)]
        loss, guess = (
            float(-np.log(np.maximum(chance, 1e-300)).mean()),
            out.argmax(axis=1).astype(np.float64),
        )
        return {
            "objective_loss": loss, "multiclass_cross_entropy": loss, "multiclass_accuracy": scores.accuracy(y, guess),
            "macro_f_1.000": scores.f1_macro(y, guess),
        }  # fmt: skip


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _softmax(x: Floats) -> Floats:
    raised = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def main() -> None:
    inputs = Inputs()
    inputs.say_unused(WITHOUT_EFFECT["linear_learner"])
    if not inputs.has("train"):
        fail("there is no channel train")
    train = inputs.rows("train", missing=False)
    width = train.features.shape[1]
    others = {
        name: fit_width(inputs.rows(name, missing=False), width)
        for name in ("validation", "test")
        if inputs.has(name)
    }
    wanted = inputs.wanted.partition(":")[0]
    if wanted and wanted != "train" and wanted not in others:
        fail(f"there is no channel {wanted}, of which {inputs.wanted} is")
    learner = Learner(inputs, train)
    rng = np.random.default_rng(int(inputs.number("seed", 0)))
    for epoch in range(int(inputs.number("epochs", 15, least=1))):
        learner.epoch(train, rng)
        shown = {
            "train": train,
            **({"validation": others["validation"]} if "validation" in others else {}),
        }
        _say(epoch, learner, shown)
    if "test" in others:
        _say(-1, learner, {"test": others["test"]})
    model = {"weights": learner.weights.tolist(), "centre": learner.centre.tolist(), "spread": learner.spread.tolist(),
             "shift": learner.shift, "scale": learner.scale, "predictor_type": learner.kind}  # fmt: skip
    (inputs.model / "model.json").write_text(json.dumps(model))


def _say(epoch: int, learner: Learner, channels: dict[str, Rows]) -> None:
    parts = [
        f"{channel}:{name}={value:.10g}"
        for channel, rows in channels.items()
        for name, value in learner.scores(rows).items()
    ]
    say((f"[{epoch}] " if epoch >= 0 else "") + " ".join(parts))


if __name__ == "__main__":
    main()
