"""Data that scikit-learn ships, and data that are made. Always the same: nothing here is random between runs."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
#: Inputs and what is to be predicted.
Data: TypeAlias = tuple[Any, Any]


@cache
def shipped(name: str, rows: int = 0) -> Data:
    """Of ``sklearn.datasets``; `rows` of them at random if not 0."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if rows:
        some = default_rng(0).permutation(len(x))[:rows]
        return x[some], y[some]
    return x, y


@cache
def imbalanced() -> Data:
    """One case in ten is of the rare class."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        700, 12, n_informative=5, n_redundant=3, n_clusters_per_class=2, weights=[0.9],
        flip_y=0.02, class_sep=1.2, random_state=0,
    )  # fmt: skip
    return x, y


@cache
def spirals() -> Data:
    """Two spirals, wound into each other, and two columns of noise."""
    rng = default_rng(1)
    y = np.arange(360) % 2
    angle = 3.4 * math.pi * np.sqrt(rng.uniform(0.02, 1, 360))
    turned = angle + math.pi * y
    x = np.column_stack([angle * np.cos(turned), angle * np.sin(turned)])
    x += rng.normal(0, 0.55, x.shape)
    return np.hstack([x, rng.normal(0, 2, x.shape)]), y


@cache
def friedman() -> Data:
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(260, 10, noise=1.0, random_state=0)
    return x, y


@cache
def heavy() -> Data:
    """A regression whose noise has no variance, with inputs far out as well."""
    rng = default_rng(2)
    x = rng.standard_t(3, (260, 8))
    y = 2 * x[:, 0] - x[:, 1] + np.abs(x[:, 2]) * 1.5 + x[:, 3] * x[:, 4] * 0.5
    return x, y + 0.8 * rng.standard_t(1.5, len(x))


@cache
def uneven() -> Data:
    """Noise that grows with one of the inputs and is skewed."""
    rng = default_rng(3)
    x = rng.uniform(-1, 1, (260, 6))
    y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2 - 0.5 * x[:, 2]
    return x, y + (0.3 + 0.7 * (x[:, 3] > 0)) * rng.exponential(1.0, len(x))


@cache
def series() -> Floats:
    """Two seasons, a trend that bends, a step and correlated noise."""
    rng = default_rng(4)
    t = np.arange(320)
    noise = np.zeros(len(t))
    for k in range(1, len(t)):
        noise[k] = 0.6 * noise[k - 1] + rng.normal(0, 0.5)
    level = 10 + 0.02 * t + 1.5 * np.sin(t / 60) + 2.0 * (t > 190)
    out: Floats = level + 2 * np.sin(2 * math.pi * t / 12) + np.sin(2 * math.pi * t / 7) + noise
    return out


_WORDS = {
    "sport": [
        "match",
        "team",
        "goal",
        "coach",
        "season",
        "player",
        "score",
        "league",
        "ball",
        "race",
        "fan",
        "win",
    ],
    "food": [
        "soup",
        "recipe",
        "oven",
        "salt",
        "butter",
        "taste",
        "kitchen",
        "chef",
        "bake",
        "spice",
        "plate",
        "serve",
    ],
    "travel": [
        "train",
        "hotel",
        "ticket",
        "beach",
        "city",
        "map",
        "flight",
        "border",
        "tour",
        "island",
        "bag",
        "guide",
    ],
}
_COMMON = [
    "people",
    "day",
    "week",
    "place",
    "thing",
    "time",
    "friend",
    "story",
    "home",
    "money",
    "question",
    "morning",
]
_FRAMES = [
    "the {n} of the {n} was {a}", "we saw a {a} {n} and a {n}", "they did not like the {n}",
    "every {n} needs a {n}", "{n} and {n} for the {a} {n}", "no {n} is {a} without {n}",
]  # fmt: skip
_QUALITIES = [
    "good",
    "bad",
    "long",
    "quiet",
    "famous",
    "cheap",
    "warm",
    "early",
    "strange",
    "simple",
]


@cache
def text() -> Data:
    """Sentences made from a grammar; each text is of one of three topics and borrows from the others."""
    rng = default_rng(5)
    topics = list(_WORDS)
    texts, labels = [], []
    for k in range(240):
        topic = topics[k % 3]
        other = topics[(k + rng.integers(1, 3)) % 3]
        words: list[str] = []
        for _ in range(int(rng.integers(2, 6))):
            frame = _FRAMES[rng.integers(len(_FRAMES))]
            for part in frame.split():
                if part == "{n}":
                    source = [_WORDS[topic], _WORDS[other], _COMMON][
                        rng.choice(3, p=[0.4, 0.15, 0.45])
                    ]
                    part = source[rng.integers(len(source))] + ("s" if rng.random() < 0.2 else "")
                elif part == "{a}":
                    part = _QUALITIES[rng.integers(len(_QUALITIES))]
                words.append(part)
        texts.append(" ".join(words))
        labels.append(topics.index(topic) if rng.random() > 0.04 else int(rng.integers(3)))
    return np.array(texts, dtype=object), np.array(labels)


@cache
def missing() -> Data:
    """Wine with a fifth of the cells empty, and six columns of noise."""
    x, y = shipped("wine")
    rng = default_rng(6)
    x = np.hstack([x, rng.normal(0, 30, (len(x), 6))])
    x[rng.random(x.shape) < 0.2] = np.nan
    return x, y


@cache
def outliers() -> Data:
    """Three clouds of different shape, and points between and around them, which are to be detected."""
    rng = default_rng(7)
    clouds = [
        rng.normal(0, 1, (180, 6)),
        rng.normal(0, 1, (120, 6)) * [0.3, 2, 1, 0.5, 1, 1] + 4,
        rng.normal(0, 0.5, (60, 6)) - [3, 0, 4, 0, 0, 0],
    ]
    odd = rng.uniform(-5, 7, (40, 6))
    odd[:20] = clouds[0][:20] + rng.normal(0, 1.8, (20, 6))
    x = np.vstack([*clouds, odd])
    return x, np.repeat([0, 1], [360, 40])


@cache
def spectra() -> Data:
    """Sums of peaks on a baseline that bends, scattered by a factor; one peak's height is asked for."""
    rng = default_rng(8)
    wave = np.linspace(0, 1, 120)
    places, widths = rng.uniform(0.1, 0.9, 6), rng.uniform(0.03, 0.09, 6)
    peaks = np.exp(-0.5 * ((wave - places[:, None]) / widths[:, None]) ** 2)
    heights = rng.gamma(2, 0.5, (150, 6))
    base = rng.normal(0, 1, (150, 3)) @ np.vstack([np.ones_like(wave), wave, wave**2])
    x = (heights @ peaks + base) * rng.uniform(0.8, 1.25, (150, 1))
    return x + rng.normal(0, 0.03, x.shape), heights[:, 2] + rng.normal(0, 0.03, 150)


@cache
def ratings() -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """What 60 people think of 40 films, and which of it is known for training and which for testing."""
    rng = default_rng(9)
    taste, films = rng.normal(0, 1, (60, 4)), rng.normal(0, 1, (40, 4)) * [1, 0.7, 0.4, 0.2]
    table = 3 + rng.normal(0, 0.4, (60, 1)) + rng.normal(0, 0.5, (1, 40)) + taste @ films.T
    table = np.clip(np.round(2 * (table + rng.normal(0, 0.4, table.shape))) / 2, 0.5, 5.5)
    known = rng.random(table.shape) < 0.45
    return table, known & (rng.random(table.shape) < 0.75), known
