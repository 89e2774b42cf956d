"""Reviews and titles are learned from; names and identifiers are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesmith.recipes import load_model, tabular
from tunesmith.recipes.tabular import leaks
from tunesmith.recipes.tabular.columns import Column
from tunesmith.recipes.tabular.data import Data, load
from tunesmith.recipes.tabular.metrics import METRICS, metric_for
from tunesmith.recipes.tabular.pipeline import build
from tunesmith.recipes.tabular.space import ALGORITHMS, space_for
from tunesmith.recipes.tabular.texts import LEAST, MOST, are_texts, counts, size_for
from tunesmith.recipes.tabular.train import fit_fold, quiet

FILLER = [
    "the",
    "film",
    "was",
    "a",
    "bit",
    "of",
    "story",
    "with",
    "actors",
    "and",
    "music",
    "that",
    "I",
    "saw",
    "last",
    "night",
    "in",
    "town",
]
GOOD, BAD = ["great", "lovely", "superb", "perfect"], ["awful", "poor", "broken", "boring"]


def reviews(rows: int = 120) -> Any:
    rng = np.random.default_rng(0)
    good = rng.permutation(rows) % 2 == 0
    texts = [
        " ".join(rng.permutation([*rng.choice(FILLER, 8), *rng.choice(GOOD if g else BAD, 2)]))
        for g in good
    ]
    return pd.DataFrame(
        {"review": texts, "a": rng.normal(size=rows), "y": np.where(good, "+", "-")}
    )


@pytest.fixture(scope="module")
def data() -> Data:
    return load(reviews(), "y")


def test_texts_are_seen_and_said(data: Data) -> None:
    assert [(c.name, c.kind) for c in data.columns] == [("review", "text"), ("a", "number")]
    assert any("'review' holds texts" in notice for notice in data.notices)
    assert data.texts == ((0, MOST),)
    assert data.numbers == (2 * MOST,)
    assert data.width == 2 * MOST + 1
    assert not data.missing
    assert Column.from_dict(data.columns[0].to_dict()) == data.columns[0]
    assert leaks.warnings(data) == ()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([f"customer {k}" for k in range(50)], False),
        ([f"a{k}-b{k}" for k in range(50)], False),
        ([f"n{k} m{k} o{k} p{k}" for k in range(50)], False),
        ([f"the {w} of {v}" for w in FILLER for v in FILLER], True),
        ([f"Mr. John {w} Smith" for w in FILLER], True),
    ],
)
def test_several_words_that_come_back_are_a_text(values: list[str], text: bool) -> None:
    assert are_texts(values) is text


def test_what_is_said_to_be_a_text_is_one() -> None:
    frame = reviews().assign(name=[f"n{k}" for k in range(120)])
    plain = load(frame, "y")
    assert "name" in plain.left_out
    said = load(frame, "y", columns={"name": "text", "review": "ignore"})
    assert [(c.name, c.kind) for c in said.columns] == [("a", "number"), ("name", "text")]


def test_counts_do_not_depend_on_other_rows_and_gaps_are_no_words() -> None:
    both = counts(["a great film", "boring"], 64)
    assert both.shape == (2, 128)
    np.testing.assert_array_equal(both[:1], counts(["a great film"], 64))
    frame = reviews().assign(review=lambda f: f["review"].where(np.arange(120) > 3))
    data = load(frame, "y")
    assert (data.x[:4, : 2 * MOST] == 0.0).all()
    assert np.isfinite(data.x).all()


def test_large_tables_have_fewer_places() -> None:
    assert size_for(1_000) == MOST
    assert size_for(10**7) == LEAST
    assert LEAST < size_for(50_000) < MOST


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_learns_from_texts(data: Data, algorithm: str) -> None:
    config = space_for(data, [algorithm], metric_for("binary"), 5).complete(
        {"algorithm": algorithm}
    )
    assert (config["texts"], config["counts"]) == ("both", "log")
    config = {k: min(v, 30) if k.endswith("n_estimators") else v for k, v in config.items()}
    with quiet():
        predicted, _ = fit_fold(config, data, np.arange(80), np.arange(80, 120), 0)
    assert METRICS["roc_auc"].of(data.y[80:], predicted) > 0.75


def test_each_choice_changes_what_is_learned_from(data: Data) -> None:
    base = space_for(data, ["linear"], metric_for("binary"), 5).complete({"algorithm": "linear"})
    made = {}
    for texts in ("words", "characters", "both"):
        for how in ("plain", "log"):
            front = build({**base, "texts": texts, "counts": how}, data, 0)[:-1]
            made[texts, how] = front.fit_transform(data.x, data.y)
    assert [made[t, "log"].shape[1] for t in ("words", "characters", "both")] == [MOST + 1, MOST + 1, 2 * MOST + 1]  # fmt: skip
    assert not np.allclose(made["characters", "log"], made["characters", "plain"])


def test_a_model_of_texts_is_kept_without_a_pickle(tmp_path: Path) -> None:
    frame = reviews()
    fitted = tabular.fit(
        frame,
        target="y",
        trials=1,
        algorithms=["linear"],
        seed=0,
        parallel=1,
        output=tmp_path / "m",
    )
    assert fitted.about["file"].endswith(".skops")
    (tmp_path / "new.csv").write_text(
        "review,a\na superb perfect story,0\n,0\nthe 1 awful boring night,0\n"
    )
    again = load_model(tmp_path / "m").predict(tmp_path / "new.csv")
    assert (again[0], again[2]) == ("+", "-")
