"""What a study's trials run, for comparison: digests of its parts, and of the statements of those that have a source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

#: Hexadecimal digits of a digest that tells versions apart.
DIGITS: Final = 16
#: Statements of one piece of source whose digests are stored.
_STATEMENTS: Final = 400


def digest(*texts: str | bytes | memoryview) -> str:
    """A short digest of texts in order."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode(errors="surrogatepass") if isinstance(text, str) else text)
        total.update(b"\0")
    return total.hexdigest()[:DIGITS]


class Statement(NamedTuple):
    """One statement of a piece of source: its digest, and where it stands."""

    digest: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of source: its digest, and its statements."""

    digest: str
    statements: tuple[Statement, ...]

    def stored(self) -> str:
        """As a session keeps it: digests only, no line of anybody's program."""
        some = ",".join(statement.digest for statement in self.statements[:_STATEMENTS])
        return f"source {self.digest} {some}".rstrip()


def stored_statements(stored: str) -> set[str] | None:
    """The statements' digests in what `Source.stored` has written; None for anything else."""
    words = stored.split(" ")
    return set(words[2].split(",")) if len(words) == 3 and words[0] == "source" else None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A program's parts by name, each with what tells its versions apart; and the source of those that have one."""

    parts: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, Source]] = field(default_factory=dict)


#: Of a program of which nothing is known.
UNKNOWN: Final = Fingerprint()
