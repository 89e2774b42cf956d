"""Every typical mistake gets the message that the table shows, which a person has read."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.mistakes.cases import MISTAKES, Mistake, message_of
from tests.mistakes.write import HEAD, TABLE, row

ROWS = TABLE.read_text().removeprefix(HEAD).splitlines(keepends=True)


def test_the_table_has_a_row_for_each() -> None:
    assert len(ROWS) == len(MISTAKES) >= 40


@pytest.mark.parametrize(
    ("number", "mistake"), [*enumerate(MISTAKES, 1)], ids=[m.title for m in MISTAKES]
)
def test_the_message_is_the_one_in_the_table(number: int, mistake: Mistake, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        message = message_of(mistake, tmp_path)
    assert message
    assert row(number, mistake, message) == ROWS[number - 1], (
        "if the new message is better: python -m tests.mistakes.write"
    )
