"""Cores and GPUs are shared out; nobody gets more than there is."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tunesmith.core.errors import JobError
from tunesmith.run.resources import (
    THREAD_VARIABLES,
    GpuSlots,
    cores,
    gpu_environment,
    thread_caps,
    visible_gpus,
)


class TestThreads:
    def test_cores_are_those_this_process_may_use(self) -> None:
        assert 1 <= cores() <= (os.cpu_count() or 1)

    def test_each_trial_gets_its_share(self) -> None:
        caps = thread_caps(1, {})
        assert set(caps) == set(THREAD_VARIABLES)
        assert set(caps.values()) == {str(cores())}
        assert set(thread_caps(cores(), {}).values()) == {"1"}

    @pytest.mark.parametrize("parallel", [0, 10_000])
    def test_never_less_than_one(self, parallel: int) -> None:
        assert all(int(share) >= 1 for share in thread_caps(parallel, {}).values())

    def test_what_the_user_has_set_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert "OMP_NUM_THREADS" not in thread_caps(2)
        assert "MKL_NUM_THREADS" not in thread_caps(2, {"MKL_NUM_THREADS": "7"})


class TestVisibleGpus:
    @pytest.mark.parametrize(
        ("given", "gpus"),
        [("0,1", ["0", "1"]), (" 3 , GPU-ab ", ["3", "GPU-ab"]), ("", []), ("-1", [])],
    )
    def test_the_environment_says(
        self, monkeypatch: pytest.MonkeyPatch, given: str, gpus: list[str]
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        assert visible_gpus() == gpus

    @pytest.mark.parametrize(
        ("script", "gpus"),
        [("printf '0\\n1\\n'", ["0", "1"]), ("exit 9", []), ("true", [])],
    )
    def test_else_the_driver_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, gpus: list[str]
    ) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        assert visible_gpus() == gpus

    def test_there_is_no_driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert visible_gpus() == []


class TestGpuSlots:
    def test_none_where_trials_get_none(self) -> None:
        slots = GpuSlots([], 0.0, parallel=8)
        assert [slots.take(trial) for trial in range(8)] == [()] * 8

    def test_one_each(self) -> None:
        slots = GpuSlots(["0", "1"], 1.0, parallel=2)
        assert {slots.take(0), slots.take(1)} == {("0",), ("1",)}

    def test_several_each(self) -> None:
        slots = GpuSlots(["a", "b", "c", "d", "e"], 2.0, parallel=2)
        taken = [*slots.take(0), *slots.take(1)]
        assert len(set(taken)) == 4

    @pytest.mark.parametrize(("per_trial", "share"), [(0.5, 2), (1 / 3, 3), (0.3, 3), (0.1, 10)])
    def test_fractions_share_one(self, per_trial: float, share: int) -> None:
        slots = GpuSlots(["0", "1"], per_trial, parallel=2 * share)
        taken = Counter(slots.take(trial) for trial in range(2 * share))
        assert taken == {("0",): share, ("1",): share}
        with pytest.raises(JobError, match="no GPU is free"):
            slots.take(99)

    def test_the_least_loaded_comes_first(self) -> None:
        slots = GpuSlots(["0", "1"], 0.5, parallel=4)
        first, second = slots.take(0), slots.take(1)
        assert first != second
        slots.give_back(1)
        assert slots.take(2) == second

    def test_what_is_given_back_is_free_again(self) -> None:
        slots = GpuSlots(["0"], 1.0, parallel=1)
        for trial in range(3):
            assert slots.take(trial) == ("0",)
            slots.give_back(trial)
            slots.give_back(trial)  # twice does no harm
        slots.give_back(99)  # nor does a stranger
        assert slots.take(3) == ("0",)
        with pytest.raises(JobError, match="no GPU is free for trial 4"):
            slots.take(4)

    @pytest.mark.parametrize(
        ("gpus", "per_trial", "parallel", "words"),
        [
            (1, -1.0, 1, "gpus_per_trial is not below 0, unlike -1.0"),
            (4, 1.5, 1, "a fraction below 1 or a whole number, not 1.5"),
            (0, 1.0, 1, "more GPUs than the 0 there are"),
            (2, 1.0, 3, "at most 2 fit: lower parallel"),
            (2, 0.5, 5, "at most 4 fit"),
            (3, 2.0, 2, "at most 1 fit"),
        ],
    )
    def test_what_does_not_fit(
        self, gpus: int, per_trial: float, parallel: int, words: str
    ) -> None:
        with pytest.raises(JobError, match=words):
            GpuSlots([str(k) for k in range(gpus)], per_trial, parallel)

    def test_programs_are_told(self) -> None:
        assert gpu_environment(("1", "3"), 2.0) == {"CUDA_VISIBLE_DEVICES": "1,3"}
        assert gpu_environment((), 0.0) == {}, "the user's own setting stays"
