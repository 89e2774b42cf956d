"""Metrics by labels: what SageMaker's algorithms report beside the library's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Score = Callable[[Floats, Floats], float]


def _counts(truth: Floats, guess: Floats, label: Any) -> tuple[float, float, float]:
    """True positives, false positives and false negatives of a label."""
    right, said = truth == label, guess == label
    return float((right & said).sum()), float((~right & said).sum()), float((right & ~said).sum())


def _f1(truth: Floats, guess: Floats, label: Any) -> float:
    hit, wrong, missed = _counts(truth, guess, label)
    return 2 * hit / (2 * hit + wrong + missed) if hit else 0.0


def f1_macro(truth: Floats, guess: Floats) -> float:
    return float(np.mean([_f1(truth, guess, label) for label in np.union1d(truth, guess)]))


def f1_binary(truth: Floats, guess: Floats) -> float:
    return _f1(truth, guess, 1)


def precision(truth: Floats, guess: Floats) -> float:
    hit, wrong, _ = _counts(truth, guess, 1)
    return hit / (hit + wrong) if hit else 0.0


def recall(truth: Floats, guess: Floats) -> float:
    hit, _, missed = _counts(truth, guess, 1)
    return hit / (hit + missed) if hit else 0.0


def accuracy(truth: Floats, guess: Floats) -> float:
    return float(np.mean(truth == guess))


def balanced_accuracy(truth: Floats, guess: Floats) -> float:
    return float(np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)]))


def mse(truth: Floats, guess: Floats) -> float:
    return float(np.mean((truth - guess) ** 2))


def r2(truth: Floats, guess: Floats) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - guess) ** 2).sum()) / spread if spread else 0.0


def roc_auc(truth: Floats, score: Floats) -> float:
    """The share of pairs of a positive and a negative that `score` has in order; ties count half."""
    positive = truth == 1
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    _, places, sizes = np.unique(score, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    ranks = (ends - (sizes - 1) / 2.0)[places]
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


#: Of labels that are guessed, or of numbers.
BY_NAME: Final[Mapping[str, Score]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1_macro,
    "f1_binary": f1_binary,
    "f1_macro": f1_macro,
    "mse": mse,
    "precision": precision,
    "r2": r2,
    "recall": recall,
}
