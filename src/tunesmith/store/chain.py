"""The chain of digests over a study's events: change one byte of the past, and it no longer fits.

``digest[n] = BLAKE2b-128(digest[n-1] + body[n])``, starting from the study as it was created. It
shows accidents and meddling; it is no signature (who can write the file can also write a new chain).
"""

from __future__ import annotations

from hashlib import blake2b


def first_digest(spec: str) -> str:
    """What the first event's digest builds on: the study's own text."""
    return blake2b(spec.encode(), digest_size=16).hexdigest()


def next_digest(before: str, body: str) -> str:
    """The digest of an event, given that of the one before it."""
    return blake2b(f"{before}{body}".encode(), digest_size=16).hexdigest()
