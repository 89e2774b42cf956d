"""Text columns: reviews, titles, descriptions. Words and pieces of words are counted in columns of the matrix.

Counting learns nothing: each n-gram has its place by a hash (Weinberger et al., "Feature hashing for large scale multitask
learning", ICML 2009). How rare each is, the other half of TF-IDF, is learned inside the fold: see `pipeline`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Places for words, and as many for characters; at least, at most.
LEAST: Final = 64
MOST: Final = 1024
#: Numbers in a text's part of the matrix, at most.
NUMBERS: Final = 20_000_000
#: Texts that are looked at to tell whether they are some.
SAMPLE: Final = 2_000
#: Words of a text on average, and the share of them that are in other texts too.
WORDS: Final = 2.5
SHARED: Final = 0.3
#: In neighbouring words, and in pieces of words, how many make an n-gram.
NEIGHBOURS: Final = (1, 2)
PIECES: Final = (3, 4)


def size_for(rows: int) -> int:
    """How many places words, and characters, have in a table of so many rows."""
    return int(min(MOST, max(LEAST, NUMBERS // (2 * max(1, rows)))))


def are_texts(values: Sequence[str]) -> bool:
    """Whether different values are texts rather than identifiers: several words each, which come back."""
    sample = values[:: max(1, len(values) // SAMPLE)]
    words = [set(value.lower().split()) for value in sample]
    if np.mean([len(value.split()) for value in sample]) < WORDS:
        return False
    total = sum(map(len, words))
    there = Counter(word for each in words for word in each)
    return sum(n for n in there.values() if n > 1) >= SHARED * total


def counts(values: Sequence[str], size: int) -> Floats:
    """How often each n-gram is in each text, shape (texts, 2 * size): of words, then of characters."""
    from sklearn.feature_extraction.text import HashingVectorizer

    fixed: dict[str, Any] = {"n_features": size, "alternate_sign": False, "norm": None}
    words = HashingVectorizer(analyzer="word", ngram_range=NEIGHBOURS, **fixed)
    characters = HashingVectorizer(analyzer="char_wb", ngram_range=PIECES, **fixed)
    out: Floats = np.hstack([part.transform(values).toarray() for part in (words, characters)])
    return out
