"""The problems of ``benchmarks/quality``: optima that move, halves by rule, evaluations that are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"


@pytest.fixture
def every(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.syspath_prepend(str(QUALITY))
    before = set(sys.modules)
    from problems import problems

    yield problems()
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("problems", "figures"):
            del sys.modules[name]


def test_optima_are_elsewhere_for_each_seed_and_the_same_for_every_tuner(
    every: dict[str, Any],
) -> None:
    synthetic = [p for p in every.values() if "synthetic" in p.tags]
    assert len(synthetic) == 8
    for problem in synthetic:
        rng = np.random.default_rng(1)
        configs = [problem.space.sample(rng) for _ in range(50)]
        values = [[problem.of_seed(seed).true(c) for c in configs] for seed in (0, 0, 1)]
        assert values[0] == values[1] != values[2], problem.name
        assert min(values[0] + values[2]) >= problem.figure["best"]
        assert problem.median(0) != problem.median(1)


def test_the_minima_of_the_functions_stay_what_they_are(every: dict[str, Any]) -> None:
    from problems.synthetic import HARTMANN, MICHALEWICZ

    for name, optimum, ranges in (
        ("hartmann6", HARTMANN, [(0, 1)] * 6),
        ("levy8", [1.0] * 8, [(-10, 10)] * 8),
        ("ackley10", [0.0] * 10, [(-15, 30)] * 10),
        ("michalewicz5", MICHALEWICZ, [(0, np.pi)] * 5),
    ):
        problem = every[name]
        low, high = np.array(ranges, dtype=float).T
        at = low + (high - low) * np.random.default_rng([3, 23]).uniform(0.15, 0.85, len(ranges))
        moved = problem.of_seed(3).true({f"x{j}": float(x) for j, x in enumerate(at)})
        still = problem.true({f"x{j}": float(x) for j, x in enumerate(optimum)})
        assert (
            moved
            == pytest.approx(problem.figure["best"], abs=1e-4)
            == pytest.approx(still, abs=1e-4)
        )


def test_live_problems_have_a_value_for_every_config_and_halves_by_their_names(
    every: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setenv("EVALUATIONS", str(tmp_path))
    from problems.trained import DEV, NAMES

    trained = [p for p in every.values() if "trained" in p.tags]
    assert {p.name for p in trained} <= set(NAMES)
    assert len(DEV) == 12
    assert len(NAMES) == 24
    for problem in trained:
        assert problem.half == ("dev" if problem.name in DEV else "final")
        assert len(problem.space.to_dict()) >= 3
    problem = every["smoothing/series"]
    config = problem.space.sample(np.random.default_rng(0))
    value = problem.true(config)
    assert np.isfinite(value)
    assert problem.true(config) == value
    assert list(tmp_path.glob("smoothing-series-*.sqlite"))
