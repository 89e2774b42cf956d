"""What clients note with studies and trials: texts and messages by namespace and key, kept as texts.

A text stands for itself; ``%`` begins what does not: ``%s`` and a text (an empty one, or one that begins so itself), ``%p``
and a message of any kind as JSON.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from tunesmith.service.vizier.names import LONGEST, invalid, shortened

#: The longest value (characters), and all of a study's together.
VALUE: Final = 90_000
STUDY: Final = 250_000
#: What a trial's tags of metadata begin with.
TAG: Final = "metadata/"


def written(items: Iterable[Any]) -> dict[str, str]:
    """Notes by namespace and key, as they are kept. Raises Problem."""
    return {_key(item): _text(item) for item in items}


def check_size(kept: Mapping[str, str]) -> None:
    """Raise Problem for more notes on a study than are read again at each look at it."""
    if sum(len(key) + len(text) for key, text in kept.items()) > STUDY:
        raise invalid(
            f"a study's metadata have {STUDY:,} characters at most; what is longer belongs to trials, or into a file"
        )


def fill(message: Any, kept: Mapping[str, str]) -> None:
    """Put notes into the message of a study_spec or trial."""
    for name, text in kept.items():
        ns, _, key = name.partition("/")
        item = message.metadata.add(ns=unquote(ns), key=key)
        if text.startswith("%p"):
            url, value = json.loads(text[2:])
            item.proto.type_url, item.proto.value = url, base64.b64decode(value)
        else:
            item.value = text.removeprefix("%s") if text.startswith("%s") else text


def of_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(TAG): text for name, text in tags.items() if name.startswith(TAG)}


def tags(kept: Mapping[str, str]) -> dict[str, str]:
    return {TAG + name: text for name, text in kept.items()}


def _key(item: Any) -> str:
    if len(item.key) > LONGEST or len(item.ns) > LONGEST:
        raise invalid(f"metadata: a key and a namespace have {LONGEST} characters at most")
    return f"{quote(item.ns, safe=':')}/{item.key}"


def _text(item: Any) -> str:
    if item.HasField("proto"):
        value = base64.b64encode(item.proto.value).decode()
        text = "%p" + json.dumps([item.proto.type_url, value])
    else:
        text = f"%s{item.value}" if not item.value or item.value.startswith("%") else item.value
    if len(text) > VALUE:
        raise invalid(
            f"metadata {shortened(item.key)}: a value has {VALUE:,} characters at most, not {len(text):,}; keep it in a "
            "file, and its name here"
        )
    return text
