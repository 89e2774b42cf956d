"""Letters from the letters before them: a softmax over counts, trained by gradient descent, as nanoGPT trains."""

import math
import sys
from ast import literal_eval
from pathlib import Path
from typing import Any

import numpy as np

learning_rate, decay_lr, warmup_iters, weight_decay = 1.0, True, 5, 1e-3
context, max_iters, eval_interval = 1, 60, 10

for option in sys.argv[1:]:  # nanoGPT's configurator.py
    name, value = option.removeprefix("--").split("=")
    if not option.startswith("--") or name not in globals():
        raise ValueError(f"Unknown config key: {name}")
    new = literal_eval(value)
    assert type(new) is type(globals()[name]), f"{name} is a {type(globals()[name]).__name__}"
    globals()[name] = new

text = Path("/usr/share/common-licenses/GPL-3").read_text()[:12000].lower()
letters = sorted(set(text))
codes = np.array([letters.index(letter) for letter in text])
size = len(letters)
rows = codes[:-context] if context == 1 else codes[:-2] * size + codes[1:-1]
nexts = codes[context:]
split = int(0.9 * len(nexts))
weights = np.zeros((size**context, size))


def probabilities(which: Any) -> Any:
    scores = weights[which]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def loss(part: slice) -> float:
    right = probabilities(rows[part])[np.arange(len(rows[part])), nexts[part]]
    return float(-np.log(np.maximum(right, 1e-12)).mean())


for step in range(max_iters + 1):
    if step % eval_interval == 0:
        train, val = loss(slice(0, split)), loss(slice(split, None))
        print(f"step {step}: train loss {train:.4f}, val loss {val:.4f}", flush=True)
    rate = learning_rate
    if decay_lr:
        rate *= min(1.0, (step + 1) / warmup_iters) * (1 + math.cos(math.pi * step / max_iters)) / 2
    errors = probabilities(rows[:split])
    errors[np.arange(split), nexts[:split]] -= 1.0
    gradient = np.zeros_like(weights)
    np.add.at(gradient, rows[:split], errors / split)
    weights -= rate * (gradient + weight_decay * weights)
