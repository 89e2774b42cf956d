"""Text columns: reviews, titles, descriptions. Words and pieces of words are counted in columns of the matrix.

Counted are the n-grams that are in most of the texts; the target has no part in that. How rare each is, the other half of
TF-IDF, is learned inside the fold: see `pipeline`. Models of earlier versions gave each n-gram a place by its hash
(Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009), where rare ones drown those that tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Places for words, and as many for characters, at most: so many where the rows are very many, or few.
LEAST: Final = 64
MOST: Final = 1024
#: Numbers in a text's part of the matrix, at most.
NUMBERS: Final = 20_000_000
#: Texts that an n-gram has to be in: what is in one alone tells nothing about others.
IN_TEXTS: Final = 2
#: Texts that are looked at to find the n-grams of most.
LEARNED: Final = 20_000
#: Texts that are looked at to tell whether they are some.
SAMPLE: Final = 2_000
#: Words of a text on average, and the share of them that are in other texts too.
WORDS: Final = 2.5
SHARED: Final = 0.3
#: In neighbouring words, and in pieces of words, how many make an n-gram.
WORD_GRAMS: Final[dict[str, Any]] = {"analyzer": "word", "ngram_range": (1, 2)}
PIECE_GRAMS: Final[dict[str, Any]] = {"analyzer": "char_wb", "ngram_range": (3, 4)}


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


def vocabulary(values: Sequence[str], size: int) -> tuple[list[str], list[str]]:
    """The n-grams that are in most of the texts, in order: of words, and of characters; `size` of each at most."""
    sample = values[:: max(1, len(values) // LEARNED)]
    words, pieces = (_most_texts(sample, size, **grams) for grams in (WORD_GRAMS, PIECE_GRAMS))
    return words, pieces


def _most_texts(values: Sequence[str], size: int, **grams: Any) -> list[str]:
    from sklearn.feature_extraction.text import CountVectorizer

    there = CountVectorizer(**grams, binary=True)
    texts = np.asarray(there.fit_transform(values).sum(axis=0)).ravel()
    names = there.get_feature_names_out()  # in order: what is in as many texts is taken by its name
    common = np.argsort(-texts, kind="stable")[:size]
    return sorted(str(names[k]) for k in common if texts[k] >= IN_TEXTS)


def counts_of(values: Sequence[str], words: Sequence[str], pieces: Sequence[str]) -> Floats:
    """How often each n-gram is in each text, shape (texts, words + pieces)."""
    from sklearn.feature_extraction.text import CountVectorizer

    return np.hstack(
        [
            CountVectorizer(**grams, vocabulary=list(known)).transform(values).toarray()
            for known, grams in ((words, WORD_GRAMS), (pieces, PIECE_GRAMS))
            if known
        ],
        dtype=np.float64,
    )


def hashed_counts(values: Sequence[str], size: int) -> Floats:
    """How often n-grams of each hash are in each text, shape (texts, 2 * size): of words, then of characters. Of
    earlier versions."""
    from sklearn.feature_extraction.text import HashingVectorizer

    fixed: dict[str, Any] = {"n_features": size, "alternate_sign": False, "norm": None}
    out: Floats = np.hstack(
        [
            HashingVectorizer(**grams, **fixed).transform(values).toarray()
            for grams in (WORD_GRAMS, PIECE_GRAMS)
        ]
    )
    return out
