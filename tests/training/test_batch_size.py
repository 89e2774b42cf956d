from __future__ import annotations

import time

import pytest

import tunesmith as ts
from tunesmith.training.batch_size import BatchSizes, Size


def needs_memory(most: int) -> object:
    def run(batch_size: int) -> None:
        if batch_size > most:
            raise MemoryError
        time.sleep(2e-4 + (1e-5 * batch_size if batch_size > 64 else 0.0))

    return run


@pytest.mark.parametrize("most", [1, 7, 100, 257])
def test_the_largest_that_fits_is_found(most: int) -> None:
    found = ts.find_batch_size(needs_memory(most), high=4096, repeats=1)  # type: ignore[arg-type]
    assert 0.95 * most - 1 <= found.largest <= most
    assert f"the largest that fits is {found.largest} (MemoryError beyond)" in str(found)


def test_all_fit_up_to_the_highest() -> None:
    found = ts.find_batch_size(lambda size: time.sleep(1e-3), high=100, repeats=2)
    assert [size.batch_size for size in found.sizes] == [1, 2, 4, 8, 16, 32, 64, 100]
    assert found.largest == 100
    parameter = found.parameter()
    assert (parameter.low, parameter.high, parameter.log) == (16, 100, True)
    assert parameter.default == found.knee
    assert found.picture()["layout"]["yaxis"]["title"]["text"] == "samples a second"


def test_its_picture() -> None:
    pytest.importorskip("plotly")
    sizes = tuple(Size(k, max(0.01, k * 1e-4)) for k in (32, 64, 128, 136, 140))
    shown = BatchSizes((*sizes, Size(256, None, "MemoryError"))).figure()
    assert list(shown.data[0].x) == [32, 64, 128, 136, 140]
    assert shown.layout.xaxis.ticktext == ("32", "64", "128"), (
        "ticks that would overlap are left out"
    )
    assert "140 is the largest that fits" in shown.layout.title.subtitle.text


def test_the_knee_is_where_more_brings_no_speed() -> None:
    times = {1: 0.1, 2: 0.1, 4: 0.1, 8: 0.15, 16: 0.29, 32: 0.6}
    found = BatchSizes(tuple(Size(size, step_s) for size, step_s in times.items()))
    assert (found.knee, found.fastest, found.largest) == (8, 16, 32)
    assert str(found) == "batch size 8 trains 53 samples/s; the largest that fits is 32"


def test_what_libraries_say_counts_and_other_errors_come_through() -> None:
    def torch_like(size: int) -> None:
        if size > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")

    found = ts.find_batch_size(torch_like, repeats=1)
    assert found.largest == 3
    assert "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB" in str(found)

    def wrong(size: int) -> None:
        raise ValueError("shapes do not match")

    with pytest.raises(ValueError, match="shapes"):
        ts.find_batch_size(wrong)
    with pytest.raises(ts.TunesmithError, match="not even a batch of 4 fits"):
        ts.find_batch_size(torch_like, low=4)
    with pytest.raises(ts.TunesmithError, match="at most high"):
        ts.find_batch_size(torch_like, low=9, high=8)


def test_a_process_that_takes_too_much_is_ended() -> None:
    def run(size: int) -> int:
        taken = bytearray(size * 2**20)
        taken[::4096] = b"x" * len(taken[::4096])
        time.sleep(0.05)
        return len(taken)

    found = ts.find_batch_size(run, low=16, high=256, repeats=1, memory="150MiB")
    assert 32 <= found.largest < 150
    assert "more than 150 MiB beyond" in str(found)


def test_an_error_in_a_process_comes_through() -> None:
    def wrong(size: int) -> None:
        raise ValueError("shapes do not match")

    with pytest.raises(ValueError, match="shapes"):
        ts.find_batch_size(wrong, memory="1GiB")
