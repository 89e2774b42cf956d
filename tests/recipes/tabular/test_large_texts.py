"""Large text files are read faster, and as small ones are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tunesmith.recipes.tabular import delimited

FIELDS = {
    "whole": ["1", "2", "30"],
    "padded later": ["1", "2", "007"],
    "thousandths": ["1.234", "2.500", "999.125"],
    "surely decimal": ["1.234", "2.500", "0.125"],
    "gaps": ["1", "NA", ""],
    "words": ["1", "2", "few"],
    "beyond": ["1", "2", "12345678901234567890123"],
    "infinite": ["1.5", "inf", "2"],
    "blanks": [" 1", "2 ", "3"],
    "amounts": ['"1,034.50"', '"2,005.00"', '"07,5"'],
    "truth": ["True", "False", "True"],
    "codes": ["00123", "01234", "99999"],
}


@pytest.mark.parametrize("column", FIELDS)
@pytest.mark.parametrize("other", ["amounts", "codes"])
def test_a_large_text_is_read_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, other: str
) -> None:
    a, b = FIELDS[column], FIELDS[other]
    lines = [f"{a[0]},{b[k % 2]},{k}.5" for k in range(40)]
    lines += [f"{a[1]},{b[2]},7", f"{a[2]},{b[0]},8"]
    text = "\n".join(["a,b,c", *lines, ""])
    small = delimited.parse(text, tmp_path)
    monkeypatch.setattr(delimited, "LARGE", 60)
    monkeypatch.setattr(delimited, "SAMPLE", 4)
    large = delimited.parse(text, tmp_path)
    assert large.notices == small.notices
    pd.testing.assert_frame_equal(large.frame, small.frame)
