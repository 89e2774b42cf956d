"""The messages of `vizier.proto`, made from its text: no generated code is kept, and nothing is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

_PACKAGE: Final = "tunesmith.vizier"
_GOOGLE: Final = (any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
_WORD: Final = re.compile(r'"[^"]*"|[\w.]+|[{}=;]')
_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "bool": _FIELD.TYPE_BOOL,
    "double": _FIELD.TYPE_DOUBLE,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "string": _FIELD.TYPE_STRING,
}


class _Reader:
    """Reads the part of the language of .proto files that ours uses."""

    def __init__(self, text: str) -> None:
        bare = "\n".join(line.partition("//")[0] for line in text.splitlines())
        self._words: Iterator[str] = iter(_WORD.findall(bare))
        #: Full names, and whether each is an enum's.
        self._types: dict[str, bool] = {}
        self._open: list[tuple[Any, str, str]] = []

    def read(self) -> descriptor_pb2.FileDescriptorProto:
        file = descriptor_pb2.FileDescriptorProto(
            name="tunesmith/vizier.proto", package=_PACKAGE, syntax="proto3"
        )
        file.dependency.extend(module.DESCRIPTOR.name for module in _GOOGLE)
        for word in self._words:
            if word == "message":
                self._message(file.message_type.add(), f".{_PACKAGE}")
            else:  # syntax and package, which are ours
                while next(self._words) != ";":
                    pass
        for field, name, scope in self._open:
            self._resolve(field, name, scope)
        return file

    def _message(self, made: Any, scope: str) -> None:
        made.name = next(self._words)
        scope = f"{scope}.{made.name}"
        self._types[scope] = False
        next(self._words)  # {
        optional = []
        group: int | None = None
        for word in self._words:
            if word == "}":
                if group is None:
                    break
                group = None
            elif word == "message":
                self._message(made.nested_type.add(), scope)
            elif word == "enum":
                self._enum(made.enum_type.add(), scope)
            elif word == "oneof":
                group = len(made.oneof_decl)
                made.oneof_decl.add(name=next(self._words))
                next(self._words)
            else:
                label, kind = "", word
                if word in ("repeated", "optional"):
                    label, kind = word, next(self._words)
                field = self._field(made.field.add(), label, kind, scope)
                if group is not None:
                    field.oneof_index = group
                elif label == "optional":
                    optional.append(field)
        for field in optional:  # each has a group of its own, behind the others
            field.proto3_optional, field.oneof_index = True, len(made.oneof_decl)
            made.oneof_decl.add(name=f"_{field.name}")

    def _enum(self, made: Any, scope: str) -> None:
        made.name = next(self._words)
        self._types[f"{scope}.{made.name}"] = True
        next(self._words)
        while (name := next(self._words)) != "}":
            next(self._words)
            made.value.add(name=name, number=int(next(self._words)))
            next(self._words)

    def _field(self, made: Any, label: str, kind: str, scope: str) -> Any:
        made.name = next(self._words)
        next(self._words)
        made.number = int(next(self._words))
        next(self._words)
        made.label = _FIELD.LABEL_REPEATED if label == "repeated" else _FIELD.LABEL_OPTIONAL
        if kind in _SCALARS:
            made.type = _SCALARS[kind]
        else:
            self._open.append((made, kind, scope))
        return made

    def _resolve(self, field: Any, name: str, scope: str) -> None:
        if name.startswith("google."):
            field.type_name, field.type = f".{name}", _FIELD.TYPE_MESSAGE
            return
        while f"{scope}.{name}" not in self._types:
            scope = scope.rpartition(".")[0]
        field.type_name = f"{scope}.{name}"
        enum = self._types[field.type_name]
        field.type = _FIELD.TYPE_ENUM if enum else _FIELD.TYPE_MESSAGE


def _load() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()  # of our own: clients in this process have theirs
    for module in _GOOGLE:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    file = _Reader(Path(__file__).with_name("vizier.proto").read_text("utf-8")).read()
    pool.Add(file)
    named = {one.name: f"{_PACKAGE}.{one.name}" for one in file.message_type}
    named["Empty"] = "google.protobuf.Empty"
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(full))
        for name, full in named.items()
    }


_CLASSES: Final = _load()


def of(name: str) -> Any:
    """The class of a message; what it makes has the fields of `vizier.proto`."""
    return _CLASSES[name]
