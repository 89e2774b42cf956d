"""Tags and owners of studies as they stand in stored texts, without reading the rest of these."""

from __future__ import annotations

from typing import Final

import msgspec

from tunesmith.core.study import StudySpec
from tunesmith.store.base import Labels


class _Spec(msgspec.Struct):
    tags: tuple[str, ...] = ()
    owner: str = ""


class _Changes(msgspec.Struct):
    tags: tuple[str, ...] | None = None


class _Edited(msgspec.Struct):
    changes: _Changes


_spec: Final = msgspec.json.Decoder(_Spec)
_edited: Final = msgspec.json.Decoder(_Edited)


def of_spec(text: str) -> Labels:
    """Of a study as it was created."""
    found = _spec.decode(text)
    return Labels(found.tags, found.owner)


def of_edit(text: str) -> tuple[str, ...] | None:
    """The tags after an `Edited`; None where it is about other things."""
    tags = _edited.decode(text).changes.tags
    return None if tags is None else tuple(dict.fromkeys(tags))


def of_study(spec: StudySpec) -> Labels:
    return Labels(spec.tags, spec.owner)
