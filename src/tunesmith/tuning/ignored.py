"""What .gitignore files leave out (gitignore(5)), and what is never sent: git's own folder, environments, caches, stores."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NEVER: Final = """\
.git
.hg
.svn
__pycache__/
*.pyc
.mypy_cache/
.ruff_cache/
.pytest_cache/
.ipynb_checkpoints/
tunesmith.db*
*.db.lock
*.db-wal
*.db-shm
*.trials/
*.service/
.DS_Store
"""
_GITIGNORE: Final = ".gitignore"


@dataclass(frozen=True)
class _Rule:
    """One line of a .gitignore in `folder`."""

    folder: Path
    pattern: re.Pattern[str]
    keeps: bool
    folders_only: bool

    def fits(self, path: Path, directory: bool) -> bool:
        if self.folders_only and not directory:
            return False
        return self.pattern.fullmatch(path.relative_to(self.folder).as_posix()) is not None


@dataclass(frozen=True)
class Ignored:
    """The rules that hold within a folder; of those that fit, the last one counts."""

    rules: tuple[_Rule, ...]

    @classmethod
    def above(cls, folder: Path) -> Ignored:
        """The rules of `folder` and of those above it, up to the top of its repository."""
        folders = [folder]
        if any((parent / ".git").exists() for parent in (folder, *folder.parents)):
            while not (folders[0] / ".git").exists():
                folders.insert(0, folders[0].parent)
        ignored = cls(_rules(folders[0], _NEVER))
        for one in folders:
            ignored = ignored.within(one)
        return ignored

    def within(self, folder: Path) -> Ignored:
        """These, and those of a folder's own .gitignore."""
        try:
            text = (folder / _GITIGNORE).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return self
        return Ignored((*self.rules, *_rules(folder, text)))

    def has(self, path: Path, directory: bool) -> bool:
        """Whether `path` is left out."""
        if directory and (path / "pyvenv.cfg").exists():
            return True
        fitting = (rule for rule in reversed(self.rules) if rule.fits(path, directory))
        last = next(fitting, None)
        return last is not None and not last.keeps


def _rules(folder: Path, text: str) -> tuple[_Rule, ...]:
    return tuple(rule for line in text.splitlines() if (rule := _rule(folder, line)) is not None)


def _rule(folder: Path, line: str) -> _Rule | None:
    line = re.sub(r"(?<!\\) +$", "", line)
    if not line or line.startswith("#"):
        return None
    keeps = line.startswith("!")
    line = line[keeps:]
    folders_only = line.endswith("/")
    line = line.rstrip("/") if folders_only else line
    anchored = "/" in line
    try:
        pattern = re.compile(
            ("" if anchored else "(?:.*/)?") + _regex(line.removeprefix("/")), re.DOTALL
        )
    except re.error:
        return None
    return _Rule(folder, pattern, keeps, folders_only)


#: The parts of a pattern, and what they are as regular expressions; others stand for themselves.
_PARTS: Final = re.compile(r"^\*\*/|/\*\*/|/\*\*$|\*+|\?|\[[!^]?\]?[^\]]*\]|\\.|.", re.DOTALL)
_MEANS: Final = {"**/": "(?:.*/)?", "/**/": "/(?:.*/)?", "/**": "/.+", "?": "[^/]"}


def _regex(pattern: str) -> str:
    return "".join(map(_part, _PARTS.findall(pattern)))


def _part(part: str) -> str:
    if part in _MEANS:
        return _MEANS[part]
    if part.startswith("*"):
        return "[^/]*"
    if part.startswith("[") and len(part) > 1:
        negated = part[1] in "!^"
        inside = part[1 + negated : -1].replace("\\", "\\\\").replace("[", "\\[")
        return f"(?!/)[{'^' if negated else ''}{inside}]"
    return re.escape(part[1:] if part.startswith("\\") and len(part) > 1 else part)
