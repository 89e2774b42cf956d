"""Records: what is said of one is not said of another that has its name by then."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.service.sagemaker.records import Record, Records


def test_one_that_was_deleted_and_made_anew(tmp_path: Path) -> None:
    records = Records(tmp_path)
    old = Record("tuning", "job", {}, 1.0, "old", "job", "eu-west-1", "id", "ana", deleted=True)
    new = msgspec.structs.replace(old, identity="new", deleted=False)
    records.add(old)
    records.add(new)
    tagged = records.update(old, lambda now: msgspec.structs.replace(now, tags={"a": "b"}))
    assert records.change(old, stopping_at=2.0) == tagged == new
    assert Records(tmp_path).find("tuning", "job") == new
    assert records.change(new, stopping_at=3.0).stopping_at == 3.0
