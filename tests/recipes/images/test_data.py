from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.recipes.images.pictures import shapes

from tunesmith.recipes.images.data import LEAST, MOST_BYTES, limited, sample, split
from tunesmith.recipes.images.reading import read


def test_the_fingerprint_is_of_pixels_and_labels(tmp_path: Path) -> None:
    root = shapes(tmp_path / "set", each=3)
    first = read(root).fingerprint
    assert first == read(root).fingerprint
    (root / "circle" / "000.png").rename(root / "circle" / "0000.png")
    assert first == read(root).fingerprint
    Image.fromarray(np.zeros((24, 24, 3), dtype=np.uint8)).save(root / "circle" / "0000.png")
    assert first != read(root).fingerprint


@given(st.lists(st.integers(3, 40), min_size=2, max_size=6), st.integers(0, 2**32), st.booleans())
def test_a_split_has_each_image_once_and_each_class_everywhere(
    counts: list[int], seed: int, twice: bool
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = split(labels, seed)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together) == list(range(len(labels)))
    for part in (parts.train, parts.validation, parts.test):
        assert set(labels[part]) == set(range(len(counts)))
    if twice:
        assert (split(labels, seed).test == parts.test).all()
    for label, count in enumerate(counts):
        held_out = int((labels[parts.test] == label).sum())
        assert abs(held_out - 0.15 * count) <= 1


@given(st.lists(st.integers(3, 40), min_size=2, max_size=6), st.integers(0, 250), st.integers(0))
def test_a_sample_has_each_class_in_its_share(counts: list[int], count: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    places = sample(labels, count, seed)
    assert len(set(places.tolist())) == len(places)
    assert (sample(labels, count, seed) == places).all()
    for label, of in enumerate(counts):
        share = min(of, max(LEAST, count * of / len(labels)))
        assert abs(int((labels[places] == label).sum()) - share) <= 0.5
    if count >= len(labels):
        assert places.tolist() == list(range(len(labels)))


def test_many_images_are_kept_smaller_than_few() -> None:
    assert limited((300, 150), 100, 3) == (128, 64)
    assert limited((28, 28), 70_000, 1) == (28, 28)
    width, height = limited((256, 256), 200_000, 3)
    assert 0.9 * MOST_BYTES < 200_000 * 3 * width * height < 1.1 * MOST_BYTES


@given(sizes=st.lists(st.integers(1, 12), min_size=3, max_size=12), seed=st.integers(0, 2**32))
def test_copies_are_in_one_part(sizes: list[int], seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.zeros(len(groups), dtype=np.int64)
    parts = split(labels, seed, groups)
    of = [set(groups[part].tolist()) for part in (parts.train, parts.validation, parts.test)]
    assert all(of)
    assert sum(map(len, of)) == len(sizes), "no group is in two parts"
    assert sum(len(p) for p in (parts.train, parts.validation, parts.test)) == len(groups)


def test_a_set_without_copies_is_split_as_before() -> None:
    labels = np.arange(60) % 3
    plain, grouped = split(labels, 7), split(labels, 7, np.arange(60))
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(plain, part), getattr(grouped, part))


def test_a_class_of_copies_only_still_has_an_image_for_each_part() -> None:
    parts = split(np.zeros(10, dtype=np.int64), 0, np.zeros(10, dtype=np.int64))
    assert min(len(parts.train), len(parts.validation), len(parts.test)) >= 1
