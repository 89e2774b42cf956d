import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.rng import derive_seed, passing_stream, stream

SEEDS = st.integers(0, 2**63 - 1)


@given(SEEDS, st.integers(0, 10**6), st.text("abc", max_size=3))
def test_a_passing_stream_has_the_same_numbers(seed: int, number: int, purpose: str) -> None:
    own = stream(seed, number, purpose)
    passing = passing_stream(seed, number, purpose)
    assert own.random(5).tolist() == passing.random(5).tolist()
    assert own.integers(0, 99, 3).tolist() == passing.integers(0, 99, 3).tolist()
    assert own.normal(size=3).tolist() == passing.normal(size=3).tolist()


def test_a_passing_stream_starts_afresh() -> None:
    first = passing_stream(1, 2, "a").integers(0, 2**31, 3, dtype=np.int32).tolist()
    passing_stream(1, 3, "a").integers(0, 2**31, dtype=np.int32)  # half a word is left over
    assert passing_stream(1, 2, "a").integers(0, 2**31, 3, dtype=np.int32).tolist() == first


def test_streams_are_independent() -> None:
    draws = {
        (seed, number, purpose): tuple(stream(seed, number, purpose).random(8))
        for seed in (0, 1, 2**62)
        for number in (0, 1, 2, 10**6)
        for purpose in ("suggest", "objective")
    }
    values = [value for drawn in draws.values() for value in drawn]
    assert len(set(values)) == len(values)


def test_streams_of_neighbours_do_not_overlap_or_correlate() -> None:
    numbers = np.array([stream(0, number, "suggest").random(2000) for number in range(6)])
    correlations = np.corrcoef(numbers) - np.eye(6)
    assert np.abs(correlations).max() < 0.1, "5 standard deviations are 0.11"
    later = np.array([stream(0, number, "suggest").random(1)[0] for number in range(2000)])
    assert abs(later.mean() - 0.5) < 0.04
    assert abs(np.corrcoef(later[:-1], later[1:])[0, 1]) < 0.1


def test_the_same_in_another_process() -> None:
    code = (
        "from tunesmith.core.rng import *;"
        "print(stream(7, 3, 'suggest').random(3).tolist(), derive_seed(7, 3, 'objective'))"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        )
        here = f"{stream(7, 3, 'suggest').random(3).tolist()} {derive_seed(7, 3, 'objective')}"
        assert done.stdout.strip() == here


def test_the_same_for_ever() -> None:
    """A resumed study draws what it would have drawn: these numbers never change."""
    assert stream(0, 0, "suggest").random(2).tolist() == [0.26649695242246363, 0.511156741108696]
    assert derive_seed(0, 0, "objective") == 344939691


def test_threads_do_not_disturb_one_another() -> None:
    def draw(number: int) -> list[float]:
        return [passing_stream(0, number, "a").random() for _ in range(200)]

    with ThreadPoolExecutor(4) as pool:
        for number, drawn in enumerate(pool.map(draw, range(8))):
            assert drawn == [stream(0, number, "a").random()] * 200


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_derived_seeds_have_32_bits_and_differ(seed: int) -> None:
    seeds = {derive_seed(seed, number, purpose) for number in range(99) for purpose in "ab"}
    assert len(seeds) == 198
    assert all(0 <= s < 2**32 for s in seeds)
