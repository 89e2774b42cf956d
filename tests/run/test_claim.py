"""A study's folder says whose it is."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.errors import ExecutorError
from tunesmith.core.trial import State
from tunesmith.run import checkpoint, claim
from tunesmith.run.claim import SIGN, claimed, identity_of, is_anothers
from tunesmith.run.folder import Folder
from tunesmith.run.remote import Remote

OLD, NEW = identity_of("s", 1.0), identity_of("s", 2.0)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "db.trials" / "s")


def use(folder: Folder, identity: str) -> list[str]:
    """Work with the folder, and leave a file; what is said."""
    said: list[str] = []
    with claimed(folder, identity, said.append):
        assert not is_anothers(folder.path, identity)
        (folder.make(0) / "file").write_text(identity)
    return said


def test_the_same_study_finds_what_it_left(folder: Folder) -> None:
    assert use(folder, OLD) == use(folder, OLD) == []
    assert (folder.trial(0) / "file").read_text() == OLD
    assert is_anothers(folder.path, NEW)


def test_what_an_earlier_one_left_is_set_aside(folder: Folder) -> None:
    use(folder, OLD)
    (said,) = use(folder, NEW)
    (aside,) = (p for p in folder.path.parent.iterdir() if p != folder.path)
    assert str(aside) in said
    assert (aside / "000000" / "file").read_text() == OLD
    assert (folder.trial(0) / "file").read_text() == NEW


def test_studies_that_are_kept_in_two_places_do_not_take_one_folder_from_each_other(
    tmp_path: Path,
) -> None:
    def train(config: dict[str, float], trial: ts.LiveTrial) -> float:
        trial.save(config, step=1)
        return config["x"]

    def tune(where: str) -> ts.Result:
        storage = f"sqlite:///{tmp_path}/{where}.db?trials={tmp_path}/shared"
        space = ts.Space(x=ts.Float(0, 1))
        return ts.tune(train, space, trials=2, name="s", storage=storage, progress=False)

    for _ in range(2):
        assert len(tune("one").trials) == 2
        with pytest.raises(
            ExecutorError, match=r"a study of this name in .*one\.db, and this one is"
        ):
            tune("other")
    with ts.Study.open(storage=f"sqlite:///{tmp_path}/one.db?trials={tmp_path}/shared") as study:
        assert study.checkpoint(study.best) is not None
    assert [p.name for p in (tmp_path / "shared").iterdir()] == ["s"]
    (tmp_path / "one.db").unlink()  # then nobody misses it
    assert len(tune("other").trials) == 2
    assert len([*(tmp_path / "shared").iterdir()]) == 2


def test_a_file_that_we_may_not_see_or_that_is_another_hosts_is_there(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = replace(folder, kept_in=str(tmp_path / "ours.db"))
    secret = tmp_path / "secret" / "s.db"
    use(replace(folder, kept_in=str(secret)), OLD)
    stat = Path.stat

    def refused(path: Path, **options: Any) -> os.stat_result:
        if path == secret:
            raise PermissionError(errno.EACCES, "you may not")
        return stat(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", refused)
        with pytest.raises(ExecutorError, match=r"in .*secret/s\.db, and this one is in"):
            use(ours, NEW)
    with monkeypatch.context() as patched:
        patched.setattr("socket.gethostname", lambda: "elsewhere")
        with pytest.raises(ExecutorError, match=r"secret/s\.db on \S+, and this one is in"):
            use(ours, NEW)
    assert len(use(ours, NEW)) == 1, "here we see that it is no more"


def test_a_later_study_of_the_same_place_sets_aside_what_an_earlier_one_left(
    folder: Folder,
) -> None:
    places = ["postgresql://h/one", "postgresql://h/other"]
    one, other = (replace(folder, kept_in=place) for place in places)
    use(one, OLD)
    assert use(one, OLD) == use(other, OLD) == []  # as other hosts may write its address
    with pytest.raises(ExecutorError, match="postgresql://h/one, and this one is in postgresql"):
        use(other, NEW)
    assert len(use(one, NEW)) == 1


def test_one_without_a_sign_is_of_an_earlier_version(folder: Folder) -> None:
    (folder.make(0) / "file").write_text("")
    assert not is_anothers(folder.path, NEW)
    assert use(folder, NEW) == []
    assert is_anothers(folder.path, OLD)


def test_nothing_is_left_where_nothing_was_needed(folder: Folder, tmp_path: Path) -> None:
    with claimed(folder, OLD, print), claimed(folder, OLD, print):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_others_still_use_is_left(folder: Folder) -> None:
    with claimed(folder, OLD, print):
        with claimed(folder, OLD, print):
            pass
        assert json.loads((folder.path / SIGN).read_text())["made_at"] == 1.0


def test_one_in_which_a_process_still_works_is_refused(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "PATIENCE_S", 0.05)
    with claimed(folder, OLD, print):
        with pytest.raises(ExecutorError, match="of another study of this name"):
            use(folder, NEW)
        assert not is_anothers(folder.path, OLD)
    assert use(folder, NEW) == []


def test_a_place_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "db.trials").write_text("")
    with claimed(Folder(tmp_path / "db.trials" / "s"), OLD, print):
        pass


def test_of_many_at_once_one_sets_it_aside(folder: Folder) -> None:
    use(folder, OLD)
    together = Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: (together.wait(), use(folder, NEW))[1], range(8)))
    assert sum(map(len, said)) == 1
    assert (folder.trial(0) / "file").read_text() == NEW
    assert len(list(folder.path.parent.iterdir())) == 2


def test_many_begin_at_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "PATIENCE_S", 60.0)
    together, ended = Barrier(16), Barrier(16)

    def begin(_: int) -> None:
        together.wait()
        with claimed(folder, NEW, print):
            ended.wait(60)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(begin, range(16)))


def test_a_child_that_was_forked_keeps_no_lock(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "PATIENCE_S", 0.05)
    folder.make(0)
    sign = claim._claim(folder, OLD, print)
    assert sign is not None
    forked = os.dup(sign)  # the same open file, as a child has it
    try:
        claim._leave(folder.path, sign)
        assert use(folder, OLD) == []
        assert len(use(folder, NEW)) == 1
    finally:
        os.close(forked)


def test_who_holds_it_without_a_sign_is_not_called_another_study(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "PATIENCE_S", 0.05)
    folder.make(0)
    with (folder.path / SIGN).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ExecutorError, match="stays locked by another process"):
            use(folder, NEW)


@pytest.mark.parametrize("torn", [b"\0" * len(NEW), OLD[:9].encode(), b"\xff\xfe", b"[]"])
def test_what_is_left_of_a_sign_is_no_other_study_s(folder: Folder, torn: bytes) -> None:
    use(folder, OLD)
    (folder.path / SIGN).write_bytes(torn)
    assert not is_anothers(folder.path, OLD)
    assert use(folder, OLD) == []
    assert (folder.path / SIGN).read_text() == OLD


def test_what_cannot_be_written_is_said(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    use(folder, OLD)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(ExecutorError, match=r"cannot be set aside.*full"):
            use(folder, NEW)
    (folder.path / SIGN).write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(ExecutorError, match=r"\.study cannot be written: .*full"):
            use(folder, OLD)
    assert use(folder, OLD) == []


def test_who_was_killed_leaves_no_lock(folder: Folder) -> None:
    working = f"""
from pathlib import Path
from tunesmith.run.claim import claimed
from tunesmith.run.folder import Folder
with claimed(Folder(Path({str(folder.path)!r})), {OLD!r}, print):
    print("begun", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", working], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.kill()
    assert len(use(folder, NEW)) == 1


class TestUrl:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/bucket/s"

    def saved(self, url: str, identity: str, here: Path, step: int) -> None:
        there = Remote(url, identity)
        there.check()
        there.begin(3, 0, here)
        checkpoint.save(here, step, step)
        there.upload(3, here, State.RUNNING)
        there.settle()
        there.close()

    def steps(self, url: str, identity: str, here: Path) -> list[int]:
        Remote(url, identity).fetch(3, here)
        return [one.step for one in checkpoint.complete(here)]

    def test_each_study_finds_its_own(self, url: str, tmp_path: Path) -> None:
        self.saved(url, OLD, tmp_path / "old", 1)
        assert self.steps(url, NEW, tmp_path / "none") == []
        self.saved(url, NEW, tmp_path / "new", 2)
        assert self.steps(url, OLD, tmp_path / "a") == [1]
        assert self.steps(url, NEW, tmp_path / "b") == [2]
        assert len(list((tmp_path / "bucket").iterdir())) == 2

    def test_it_stays_where_it_is_when_the_old_one_is_removed(
        self, url: str, tmp_path: Path
    ) -> None:
        self.saved(url, OLD, tmp_path / "old", 1)
        self.saved(url, NEW, tmp_path / "new", 2)
        (tmp_path / "bucket" / "s").rename(tmp_path / "gone")
        assert self.steps(url, NEW, tmp_path / "b") == [2]

    def test_what_an_earlier_version_left_is_the_study_s(self, url: str, tmp_path: Path) -> None:
        self.saved(url, "", tmp_path / "old", 1)
        assert self.steps(url, NEW, tmp_path / "b") == [1]
