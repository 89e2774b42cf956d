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
from tunesmith.recipes.tabular.matrix import matrix
from tunesmith.recipes.tabular.metrics import METRICS, metric_for
from tunesmith.recipes.tabular.pipeline import build
from tunesmith.recipes.tabular.space import ALGORITHMS, space_for
from tunesmith.recipes.tabular.texts import (
    LEAST,
    MOST,
    are_texts,
    counts_of,
    hashed_counts,
    size_for,
    vocabulary,
)
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
    ((words, pieces),) = data.texts
    assert (words.start, words.stop, pieces.stop) == (0, pieces.start, data.width - 1)
    assert data.columns[0].grams[: len(words)] == tuple(sorted(data.columns[0].grams[: len(words)]))
    assert {"great", "awful", "the film"} <= set(data.columns[0].grams)
    assert max(len(words), len(pieces)) <= MOST
    assert data.numbers == (pieces.stop,)
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


def test_counted_is_what_is_in_most_texts_and_in_two_at_least() -> None:
    texts = ["a great film", "great story", "a great film", "dull"]
    words, _ = vocabulary(texts, 64)
    assert words == ["film", "great", "great film"]
    assert vocabulary(texts, 1)[0] == ["great"]
    assert vocabulary(["one", "two"], 64)[0] == []


def test_counts_do_not_depend_on_other_rows_and_gaps_are_no_words() -> None:
    words, pieces = ["film", "great", "great film"], [" gre", "ring"]
    both = counts_of(["a great film, a film", "boring"], words, pieces)
    np.testing.assert_array_equal(both, [[2, 1, 1, 1, 0], [0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(both[1:], counts_of(["boring"], words, pieces))
    np.testing.assert_array_equal(both[:, 3:], counts_of(["a great film", "boring"], [], pieces))
    frame = reviews().assign(review=lambda f: f["review"].where(np.arange(120) > 3))
    data = load(frame, "y")
    assert (data.x[:4, : data.texts[0][1].stop] == 0.0).all()
    assert np.isfinite(data.x).all()


def test_a_column_of_an_earlier_version_counts_by_hash() -> None:
    column = Column.from_dict({"name": "review", "kind": "text", "size": 64})
    texts = ["a great film", "boring"]
    counted = matrix(pd.DataFrame({"review": texts}), (column,))
    np.testing.assert_array_equal(counted, hashed_counts(texts, 64))
    assert counted.shape == (2, 128)


def test_texts_that_share_nothing_are_left_out() -> None:
    letters = [chr(ord("a") + k) * 3 for k in range(12)]
    frame = pd.DataFrame({"id": letters, "a": np.arange(12.0), "y": list("+-" * 6)})
    data = load(frame, "y", columns={"id": "text"})
    assert data.left_out == ("id",)
    assert any("no piece of its texts is in two" in notice for notice in data.notices)


def test_large_tables_have_fewer_places() -> None:
    assert size_for(1_000) == MOST
    assert size_for(10**7) == LEAST
    assert LEAST < size_for(50_000) < MOST


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_learns_from_texts(data: Data, algorithm: str) -> None:
    config = space_for(data, [algorithm], metric_for("binary"), 5).complete(
        {"algorithm": algorithm}
    )
    assert (config["texts"], config["counts"]) == ("words", "log")
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
    words, pieces = map(len, data.texts[0])
    widths = [made[t, "log"].shape[1] for t in ("words", "characters", "both")]
    assert widths == [words + 1, pieces + 1, words + pieces + 1]
    assert abs(made["characters", "log"] - made["characters", "plain"]).max() > 0.01


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
