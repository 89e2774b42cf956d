"""Random streams that depend on what they are for, and on nothing else.

``stream(seed, number, purpose)`` is the same in every process, on every machine, whoever asks and
however often. It is Philox-4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
2011), a counter-based generator: the key is a hash of seed and purpose, the counter starts at
``number * 2**128``, so streams never overlap.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

_local: Final = threading.local()


@lru_cache(maxsize=256)
def _key(seed: int, purpose: str) -> NDArray[np.uint64]:
    digest = blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def stream(seed: int, number: int, purpose: str) -> Generator:
    """The stream of one trial and purpose. It may be kept."""
    counter = np.array([0, 0, number, 0], dtype=np.uint64)
    return Generator(Philox(key=_key(seed, purpose), counter=counter))


def passing_stream(seed: int, number: int, purpose: str) -> Generator:
    """The same numbers as `stream`, ten times cheaper to get, valid until this thread's next call."""
    generator: Generator
    try:
        generator, state = _local.generator, _local.state
    except AttributeError:
        generator = _local.generator = stream(0, 0, "")
        state = _local.state = generator.bit_generator.state
    inner = state["state"]
    inner["key"][:] = _key(seed, purpose)
    inner["counter"][2] = number  # its other words are 0: the setter copies what it is given
    generator.bit_generator.state = state
    return generator


def derive_seed(seed: int, number: int, purpose: str) -> int:
    """A 32-bit seed for a program that seeds its own generators."""
    digest = blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")
