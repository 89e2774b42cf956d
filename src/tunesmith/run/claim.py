"""Whose files they are: a study's folder says which study made it, for another one may have had its name.

study.trials/digits/.study      the study's identity; locked (shared) by every process that works with the folder

Else a host would take the checkpoints of a study that was deleted elsewhere, and made anew, for those of the new one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tunesmith.core.errors import ExecutorError
from tunesmith.run.folder import Folder

SIGN: Final = ".study"
#: What a sign says of where the study is kept, beside its identity: the place, and the host that signed.
_KEPT_IN: Final = "kept_in"
_KEPT_ON: Final = "kept_on"
#: How long to wait for processes of the earlier study to be done with its folder (s).
PATIENCE_S: Final = 5.0


def identity_of(study: str, made_at: float) -> str:
    """What tells a study from another one of its name, wherever it is kept and whoever reads it."""
    return json.dumps({"study": study, "made_at": made_at})


def is_anothers(path: Path, identity: str) -> bool:
    """Whether a study's folder is there, and another study's. One without a sign is of an earlier tunesmith."""
    try:
        return _signed((path / SIGN).read_bytes()) not in ("", identity)
    except OSError:
        return False


@contextmanager
def claimed(folder: Folder, identity: str, say: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, the folder is this study's. One of an earlier study is set aside under another name.

    Raises ExecutorError where a process still works with that one, where it is of a study that is kept elsewhere (the two
    would set each other's files aside), or its sign cannot be written. A folder that cannot be made is no matter: there is
    nothing in it to be mistaken about.
    """
    if folder.temporary:
        yield
        return
    sign = _claim(folder, identity, say)
    try:
        yield
    finally:
        if sign is not None:
            _leave(folder.path, sign)


def _claim(folder: Folder, identity: str, say: Callable[[str], None]) -> int | None:
    path = folder.path
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            sign = os.open(path / SIGN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            # somebody has just set it aside, or removed it as nothing was in it
            if time.monotonic() > deadline:
                return None
            continue
        except OSError:
            return None
        try:
            if _owned(path, sign, identity, folder.kept_in, say):
                return sign
        except BlockingIOError:  # somebody else has it
            if time.monotonic() > deadline:
                error = _refusal(path, sign, identity)
                _let_go(sign)
                raise error from None
        except BaseException:
            _let_go(sign)
            raise
        _let_go(sign)
        time.sleep(random.uniform(0.0, 0.02))


def _owned(path: Path, sign: int, identity: str, kept_in: str, say: Callable[[str], None]) -> bool:
    """Whether the folder is ours, by its sign; else it is to be looked at again. Raises BlockingIOError, ExecutorError."""
    # none shares a lock that it wants alone in the end: many who begin together would keep one another from it
    ours = _read(sign) == identity
    _lock(sign, (fcntl.LOCK_SH if ours else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    text = _read(sign)
    if not _is_there(path, sign) or (text == identity) != ours:
        return False
    if ours:
        return True
    if not text:
        place = {_KEPT_IN: kept_in, _KEPT_ON: socket.gethostname()} if kept_in else {}
        _write(path, sign, json.dumps({**json.loads(identity), **place}))
        _lock(sign, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return _is_there(path, sign)
    if other := _elsewhere(sign, kept_in):
        raise ExecutorError(
            f"{path} has the trials' files of a study of this name in {other}, and this one is in {kept_in}: studies that are "
            "kept in two places need a folder each, or another name; name another folder (?trials=FOLDER in the URL), or "
            f"remove {path} if that study is no more"
        )
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.{stamp}-{os.getpid()}")
    try:
        path.rename(aside)
    except OSError as error:
        raise ExecutorError(
            f"{path} has the trials' files of another study of this name, and cannot be set aside: {error}; move it, or name "
            "another folder (?trials=FOLDER in the URL)"
        ) from error
    say(
        f"{path} had the trials' files of another study of this name, an earlier one or one kept elsewhere: they are in "
        f"{aside} now; remove that if nobody needs it"
    )
    return False


def _leave(path: Path, sign: int) -> None:
    """Remove a folder in which nothing is, unless somebody else works with it."""
    try:
        with suppress(OSError):
            _lock(sign, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(path, sign) and [*path.iterdir()] == [path / SIGN]:
                (path / SIGN).unlink()
                path.rmdir()
                path.parent.rmdir()  # if no other study has any
    finally:
        _let_go(sign)


def _let_go(sign: int) -> None:
    """Unlocked first: children that were forked meanwhile have the file open too, and the lock is the open file's."""
    _lock(sign, fcntl.LOCK_UN)
    os.close(sign)


def _signed(text: bytes) -> str:
    """The identity in a sign; none in what a power cut or a full disk has left of one."""
    try:
        said = json.loads(text.decode())
        if not isinstance(said, dict):
            return ""
        return json.dumps({key: said[key] for key in said if key not in (_KEPT_IN, _KEPT_ON)})
    except (ValueError, RecursionError):
        return ""


def _elsewhere(sign: int, kept_in: str) -> str:
    """Where the study is kept that has signed, if that is elsewhere; "" too where it was in a file of this host's that is no
    more, and where nobody has said."""
    said = json.loads(os.pread(sign, 1 << 16, 0))
    other, host = str(said.get(_KEPT_IN) or ""), said.get(_KEPT_ON)
    if not kept_in or other in ("", kept_in):
        return ""
    if "://" in other:
        return other
    if host not in (None, socket.gethostname()):
        return f"{other} on {host}"
    return "" if _is_no_more(other) else other


def _is_no_more(file: str) -> bool:
    """Whether there is no such file; one that we may not see is there."""
    try:
        Path(file).stat()
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return False


def _read(sign: int) -> str:
    return _signed(os.pread(sign, 1 << 16, 0))


def _write(path: Path, sign: int, said: str) -> None:
    """Raises ExecutorError."""
    text = said.encode()
    try:
        os.ftruncate(sign, 0)
        if os.pwrite(sign, text, 0) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(sign)
    except OSError as error:
        raise ExecutorError(f"{path / SIGN} cannot be written: {error}") from error


def _refusal(path: Path, sign: int, identity: str) -> ExecutorError:
    if _read(sign) in ("", identity):
        what = f"{path / SIGN} stays locked by another process"
    else:
        what = f"{path} has the trials' files of another study of this name, and a process still works with them"
    return ExecutorError(
        f"{what}; end that first, or name another folder (?trials=FOLDER in the URL)"
    )


def _is_there(path: Path, sign: int) -> bool:
    """Whether the file that is open is still the folder's sign."""
    try:
        return os.path.samestat((path / SIGN).stat(), os.fstat(sign))
    except OSError:
        return False


def _lock(sign: int, how: int) -> None:
    """Raises BlockingIOError. Some network file systems know no locks: then all go on without."""
    try:
        fcntl.flock(sign, how)
    except BlockingIOError:
        raise
    except OSError:
        return
