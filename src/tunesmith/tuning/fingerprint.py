"""Fingerprint of a Python objective: digests of its code, of the user's functions that it calls, and of the constants
that both of them read. Two processes get the same one, wherever the code stands in its file.

What libraries do is left out, and so is what a program changes as it runs: names that it declares ``global`` or
``nonlocal``, lists and mappings that it writes into.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import site
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from tunesmith.core.program import Fingerprint, Source, digest
from tunesmith.tuning.source import Definition, Sources, nested, source_of
from tunesmith.tuning.values import is_clock, is_plain, value_text

#: More parts than these are not looked for.
_MOST_PARTS: Final = 500
#: Methods that change a list, a mapping or a set.
_MUTATORS: Final = frozenset(
    {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "sort", "reverse", "update",
     "setdefault", "add", "discard", "appendleft", "popleft", "write", "writelines", "put"}
)  # fmt: skip
_PACKAGE: Final = str(Path(__file__).parents[1])


def of_function(objective: Callable[..., Any]) -> Fingerprint:
    """The fingerprint of an objective: a function, a method, a partial, or an object that can be called."""
    if _home(objective).startswith(_PACKAGE):  # a recipe's, whose program is its data
        return Fingerprint(getattr(objective, "program", {}))
    walk = _Walk()
    try:
        walk.run(objective)
    except Exception:  # noqa: BLE001 (it looks at objects of the user's, which may raise anything)
        if not walk.parts:
            return Fingerprint()
    return Fingerprint(dict(sorted(walk.parts.items())), walk.sources)


class _Walk:
    """Goes from an objective to all that it names."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.sources: dict[str, tuple[str, Source]] = {}
        self._trees = Sources()
        self._pending: deque[tuple[str, Any]] = deque()
        self._seen: dict[int, Any] = {}
        #: Values that are parts unless some function changes them, by whose name that is.
        self._values: dict[tuple[int, str], tuple[str, Any]] = {}
        self._changed: set[tuple[int, str]] = set()
        self._home = ""

    def run(self, objective: Any) -> None:
        self._home = _home(objective)
        self._take(_name_of(objective), objective, root=True)
        while self._pending and len(self.parts) < _MOST_PARTS:
            self._visit(*self._pending.popleft())
        for key, (name, value) in self._values.items():
            if key not in self._changed and (text := value_text(value)) is not None:
                self.parts[self._free(f"value {name}")] = text

    def _free(self, name: str) -> str:
        """`name`, or one like it that no other part has."""
        number, free = 2, name
        while free in self.parts:
            free, number = f"{name} ({number})", number + 1
        return free

    def _take(self, name: str, value: Any, *, root: bool = False) -> bool:
        """Put code, classes and instances of the user's on the list; whether it was any of those."""
        if isinstance(value, functools._lru_cache_wrapper):  # noqa: SLF001
            value = value.__wrapped__
        code = isinstance(value, (FunctionType, MethodType, type, functools.partial))
        library = isinstance(value, (ModuleType, BuiltinFunctionType)) or is_plain(value)
        if library and not code and not root:
            return False
        owner = value if isinstance(value, (FunctionType, type)) else getattr(value, "func", value)
        if not root and not _is_users(_file_of(owner)):
            return code  # a library's own
        if id(value) not in self._seen:
            self._seen[id(value)] = value
            self._pending.append((name, value))
        return True

    def _visit(self, name: str, value: Any) -> None:
        if isinstance(value, FunctionType):
            self._function(name, value)
        elif isinstance(value, MethodType):
            self._take(name, value.__func__, root=True)
            self._instance(name, value.__self__)
        elif isinstance(value, functools.partial):
            self._take(_name_of(value.func), value.func, root=True)
            for key, bound in [*enumerate(value.args), *value.keywords.items()]:
                self._value(id(value), str(key), f"{name}({key})", bound)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, BuiltinFunctionType):
            self.parts[self._free(f"function {name}")] = f"builtin {value.__module__}"
        else:
            self._instance(name, value)

    # -- functions ----------------------------------------------------------------------------

    def _function(self, name: str, function: FunctionType) -> None:
        if wrapped := getattr(function, "__wrapped__", None):
            self._take(_name_of(wrapped), wrapped)
        label = self._free(f"function {self._label(function, name)}")
        tree = self._trees.definition(function.__code__)
        if tree is None:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            self.parts[label] = f"bytecode {digest(_code_text(function.__code__))} {version}"
        else:
            source = source_of(*tree)
            self.parts[label] = source.stored()
            self.sources[label] = (Path(function.__code__.co_filename).name, source)
        self._defaults(label.partition(" ")[2], function, None if tree is None else tree[0])
        self._names(function, None if tree is None else tree[0])

    def _label(self, function: Any, name: str) -> str:
        """A function's name, with its module's where that is not the objective's."""
        name = getattr(function, "__qualname__", name).rpartition("<locals>.")[2]
        file = _file_of(function)
        return name if file == self._home else f"{Path(file).stem}.{name}"

    def _defaults(self, name: str, function: FunctionType, tree: Definition | None) -> None:
        """What arguments default to, where the source shows a name for it."""
        values = dict(function.__kwdefaults__ or {})
        arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
        defaults = function.__defaults__ or ()
        values |= zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True)
        written: dict[str, Any] = {}
        if tree is not None:
            positional = [*tree.args.posonlyargs, *tree.args.args]
            places = positional[len(positional) - len(tree.args.defaults) :]
            pairs = [*zip(places, tree.args.defaults, strict=True)]
            pairs += [(a, d) for a, d in zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True) if d]  # fmt: skip
            written = {argument.arg: default for argument, default in pairs}
        for argument, value in values.items():
            if not isinstance(written.get(argument), ast.Constant):
                self._value(id(function), argument, f"{name}({argument})", value)

    def _names(self, function: FunctionType, tree: Definition | None) -> None:
        """What a function reads of its module and of the functions around it."""
        scope = id(function.__globals__)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        scopes = {name: id(cell) for name, cell in cells.items()}
        written = _names_stored(function.__code__, cells)
        written |= set() if tree is None else _written_into(tree)
        self._changed |= {(scopes.get(name, scope), name) for name in written}
        for name, cell in cells.items():
            with_value = [cell.cell_contents] if _is_set(cell) else []
            for value in with_value:
                self._value(scopes[name], name, name, value, mutable=tree is not None)
        for name in _globals_read(function.__code__):
            if name in function.__globals__:
                value = function.__globals__[name]
                if isinstance(value, ModuleType):
                    self._module(value, function.__code__)
                else:
                    label = self._value_label(function, name)
                    self._value(scope, name, label, value, mutable=tree is not None)
        for module in _modules_imported(function.__code__):
            if (loaded := sys.modules.get(module)) is not None:
                self._module(loaded, function.__code__)

    def _value_label(self, function: FunctionType, name: str) -> str:
        file = _file_of(function)
        return name if file == self._home else f"{Path(file).stem}.{name}"

    def _module(self, module: ModuleType, code: CodeType) -> None:
        """What `code` may read of a module of the user's."""
        if not _is_users(getattr(module, "__file__", None) or ""):
            return
        for name in sorted({name for one in _codes(code) for name in one.co_names}):
            if name in vars(module) and not isinstance(vars(module)[name], ModuleType):
                label = f"{module.__name__.rpartition('.')[2]}.{name}"
                self._value(id(vars(module)), name, label, vars(module)[name])

    # -- classes and values -------------------------------------------------------------------

    def _class(self, kind: type) -> None:
        for base in kind.__bases__:
            if _is_users(_file_of(base)):
                self._take(base.__qualname__, base)
        for name, value in vars(kind).items():
            inner = value
            if isinstance(value, (staticmethod, classmethod)):
                inner = value.__func__
            elif isinstance(value, property):
                inner = value.fget
            if isinstance(inner, FunctionType):
                file = inner.__code__.co_filename
                if file != "<string>" and _is_users(file):  # not what `dataclass` has written
                    self._take(inner.__qualname__, inner)
                    tree = self._trees.definition(inner.__code__)
                    if tree is not None and name not in ("__init__", "__post_init__"):
                        self._changed |= {(id(kind), n) for n in _attributes_set(tree[0])}
            elif not (name.startswith("__") and name.endswith("__")):
                self._value(id(kind), name, f"{kind.__name__}.{name}", value)

    def _instance(self, name: str, value: Any) -> None:
        """An object of a class of the user's: its class, and its plain attributes that no method changes."""
        kind = value if isinstance(value, type) else type(value)
        self._take(kind.__qualname__, kind)
        for attribute, part in getattr(value, "__dict__", {}).items():
            if not isinstance(value, type):
                self._value(id(kind), attribute, f"{name}.{attribute}", part)

    def _value(
        self, scope: int, name: str, label: str, value: Any, *, mutable: bool = True
    ) -> None:
        """A value that some code reads under a name: more code, or a constant."""
        if self._take(label, value):
            return
        if not mutable and isinstance(value, (list, dict, set, bytearray)):
            return
        if not is_clock(value):
            self._values.setdefault((scope, name), (label, value))


# -- what is whose ------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages(), _PACKAGE}
    return tuple(f"{Path(folder)}/" for folder in folders)


def _is_users(file: str) -> bool:
    """Whether code of this file is the user's, not a library's."""
    if file.startswith("<"):
        return file.startswith(("<stdin", "<string", "<ipython", "<doctest"))
    if not file or f"/{'site-packages'}/" in file or "/dist-packages/" in file:
        return False
    return not file.startswith(_library_folders())


def _file_of(value: Any) -> str:
    """The file that a function, a class or an object's class is from; "" if it has none."""
    value = inspect.unwrap(value) if isinstance(value, FunctionType) else value
    if isinstance(value, functools.partial):
        return _file_of(value.func)
    value = getattr(value, "__func__", value)
    if isinstance(value, FunctionType):
        return value.__code__.co_filename
    kind = value if isinstance(value, type) else type(value)
    module = sys.modules.get(kind.__module__)
    return getattr(module, "__file__", None) or ("<stdin>" if kind.__module__ == "__main__" else "")


def _home(objective: Any) -> str:
    try:
        return _file_of(objective)
    except Exception:  # noqa: BLE001 (an object of the user's may raise anything)
        return ""


def _name_of(value: Any) -> str:
    value = getattr(value, "func", value)
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return str(name).rpartition("<locals>.")[2]


# -- what code does -----------------------------------------------------------------------------


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in nested(code):
        yield from _codes(inner)


def _names_stored(code: CodeType, cells: Iterable[str]) -> set[str]:
    """The names of its module, and of the functions around it, that a function gives other values."""
    stored = set()
    for one in _codes(code):
        for instruction in dis.get_instructions(one):
            operation, name = instruction.opname, str(instruction.argval)
            around = operation == "STORE_DEREF" and name in cells
            if around or operation in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                stored.add(name)
    return stored


def _globals_read(code: CodeType) -> list[str]:
    return sorted(
        {
            str(instruction.argval)
            for one in _codes(code)
            for instruction in dis.get_instructions(one)
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        }
    )


def _modules_imported(code: CodeType) -> list[str]:
    return sorted(
        {
            str(instruction.argval)
            for one in _codes(code)
            for instruction in dis.get_instructions(one)
            if instruction.opname == "IMPORT_NAME"
        }
    )


def _written_into(tree: ast.AST) -> set[str]:
    """The names whose lists, mappings or attributes are changed."""
    names = set()
    for node in ast.walk(tree):
        target: ast.AST | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = node.func.value if node.func.attr in _MUTATORS else None
        elif isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(
            node.ctx, ast.Load
        ):
            target = node.value
        while isinstance(target, (ast.Subscript, ast.Attribute)):
            target = target.value
        if isinstance(target, ast.Name):
            names.add(target.id)
    return names


def _attributes_set(tree: ast.AST) -> set[str]:
    """The attributes of anything that are set, or written into."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            names.add(node.attr)
        target: Any = node.func if isinstance(node, ast.Call) else node
        mutator = isinstance(target, ast.Attribute) and target.attr in _MUTATORS
        item = isinstance(target, ast.Subscript) and not isinstance(target.ctx, ast.Load)
        if mutator or item:
            target = getattr(target, "value", None)
            if isinstance(target, ast.Attribute):
                names.add(target.attr)
    return names


def _code_text(code: CodeType) -> str:
    """Bytecode without line numbers and file names; the same within one minor version of Python."""
    constants = [
        _code_text(constant)
        if isinstance(constant, CodeType)
        else f"{type(constant).__name__} {sorted(map(repr, constant))}"
        if isinstance(constant, frozenset)
        else repr(constant)
        for constant in code.co_consts
    ]
    names = [code.co_names, code.co_varnames, code.co_freevars, code.co_argcount]
    return f"{code.co_code.hex()} {constants} {names}"


def _is_set(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
