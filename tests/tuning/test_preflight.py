"""Forecasts from three tries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.tuning.jobs import write_job

from tunesmith.tuning.job import load_job
from tunesmith.tuning.preflight import CostEstimate, preflight

SLOW = "python3 -S program.py --x {x} --sleep {x}"


def forecast(tmp_path: Path, limit_s: float = 10.0, **changes: Any) -> CostEstimate:
    return preflight(load_job(write_job(tmp_path, **changes)), limit_s)


def test_from_the_cheapest_to_the_dearest(tmp_path: Path) -> None:
    found = forecast(
        tmp_path,
        command=SLOW,
        space={"x": {"float": [0.1, 0.9], "default": 0.3}},
        limits={"trials": 10, "parallel": 2, "price_per_hour": 3600},
    )
    assert [t.label for t in found.tries] == ["smallest", "default", "largest"]
    assert [t.config["x"] for t in found.tries] == [0.1, 0.3, 0.9]
    assert [t.problem for t in found.tries] == [None] * 3
    assert found.tries[1].metrics == {"loss": pytest.approx(0.0025)}
    low, high = found.time_s or (0.0, 0.0)
    walls = [t.wall_s for t in found.tries]
    assert (low, high) == (5 * min(walls), 5 * max(walls))
    assert walls[2] >= 0.9
    assert found.money == pytest.approx((10 * min(walls), 10 * max(walls)))
    assert not found.lower_bound
    assert found.memory_bytes is None or found.memory_bytes > 0


def test_what_is_cut_off_is_a_lower_bound(tmp_path: Path) -> None:
    found = forecast(
        tmp_path, 0.5, command=SLOW, space={"x": {"float": [0.0, 30.0], "default": 0.1}}
    )
    assert [t.cut for t in found.tries] == [False, False, True]
    assert found.lower_bound
    assert found.to_dict()["lower_bound"] is True


def test_a_config_that_fails_is_a_warning(tmp_path: Path) -> None:
    found = forecast(tmp_path)
    assert found.tries[2].problem is not None
    assert "exit" in found.tries[2].problem
    assert any(text.startswith("the largest config failed") for text in found.warnings)


def test_limits_that_will_not_do(tmp_path: Path) -> None:
    found = forecast(
        tmp_path,
        command=SLOW,
        space={"x": {"float": [0.1, 0.5]}},
        limits={
            "trials": 1000,
            "trial_time": "0.4s",
            "time": "10s",
            "cost": 1,
            "price_per_hour": 60,
        },
    )
    text = "\n".join(found.warnings)
    assert "a trial may take" in text
    assert "the time limit of 10.0 s may end the study first" in text
    assert "over the limit of 1" in text


def test_nothing_is_stored(tmp_path: Path) -> None:
    forecast(tmp_path, storage="study.db")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["job.yaml", "program.py"]


def test_configs_satisfy_the_relations_and_show_their_commands(tmp_path: Path) -> None:
    command = "python3 -S program.py --x {x} --y {y}"
    space = {
        "x": {"float": [0, 1], "default": 0.9},
        "y": {"float": [0, 1], "default": 0.9},
        "require": ["x + y <= 1"],
    }
    forecasts = forecast(tmp_path, command=command, space=space)
    assert all(t.config["x"] + t.config["y"] <= 1 for t in forecasts.tries)
    assert [t.problem for t in forecasts.tries] == [None] * 3
    failed = forecast(tmp_path)
    assert any("it ran python3 -S program.py --x 1.0" in text for text in failed.warnings)
    assert failed.to_dict()["tries"][2]["command"] == "python3 -S program.py --x 1.0"
