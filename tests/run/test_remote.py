"""Checkpoints at a URL: what one host wrote, another finds."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tunesmith.core.errors import ExecutorError
from tunesmith.core.trial import Kind, State
from tunesmith.run import checkpoint, remote
from tunesmith.run.folder import Folder
from tunesmith.run.objective import NotFetched, reason_of
from tunesmith.run.remote import Remote
from tunesmith.run.retention import Keeper

_BUCKETS = itertools.count()


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/bucket/s"
    else:  # one of this process
        name = f"bucket{next(_BUCKETS)}"
        yield f"memory://{name}/s"
        with suppress(FileNotFoundError):
            fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE_S", 0.0)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def send(there: Remote, directory: Path, *steps: int, attempt: int = 0, state: Any = State.RUNNING,
         number: int = 3) -> None:  # fmt: skip
    """Have checkpoints of a trial that runs here uploaded, each of which holds its step."""
    there.begin(number, attempt, directory)
    for step in steps:
        checkpoint.save(directory, step, step)
    there.upload(number, directory, state)
    there.settle()


def test_another_host_finds_what_is_whole(url: str, tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (here / ".step-30.draft").mkdir(parents=True)
    there = Remote(url)
    there.check()
    send(there, here, 10, 20)
    Remote(url).begin(3, 1, elsewhere)
    assert names(elsewhere) == ["step-10", "step-20"]
    assert checkpoint.restore(elsewhere) == (20, 20)
    assert there.news() == []


def test_what_is_removed_here_is_removed_there(url: str, tmp_path: Path) -> None:
    there = Remote(url)
    send(there, tmp_path / "here", 1, 2)
    shutil.rmtree(tmp_path / "here" / "step-1")
    there.upload(3, tmp_path / "here", State.RUNNING)
    there.settle()
    Remote(url).fetch(3, tmp_path / "elsewhere")
    assert names(tmp_path / "elsewhere") == ["step-2"]
    files, root = fsspec.core.url_to_fs(url)
    assert len(files.find(root)) == 2, "the manifest and one file"


def test_the_same_step_again_is_another_one(url: str, tmp_path: Path) -> None:
    there = Remote(url)
    send(there, tmp_path / "here", 1)
    checkpoint.save(tmp_path / "here", "another", 1)
    there.upload(3, tmp_path / "here", State.RUNNING)
    there.settle()
    Remote(url).fetch(3, tmp_path / "elsewhere")
    assert checkpoint.restore(tmp_path / "elsewhere") == (1, "another")


def test_what_was_fetched_is_not_copied_again(url: str, tmp_path: Path, monkeypatch: Any) -> None:
    send(Remote(url), tmp_path / "here", 1)
    elsewhere = Remote(url)
    copied: list[int | None] = []
    original = Remote._copied

    def spy(self: Remote, number: int, step: int | None, *rest: Any) -> Any:
        copied.append(step)
        return original(self, number, step, *rest)

    monkeypatch.setattr(Remote, "_copied", spy)
    send(elsewhere, tmp_path / "elsewhere", 2, attempt=1)
    assert copied == [2]
    Remote(url).fetch(3, tmp_path / "third")
    assert names(tmp_path / "third") == ["step-1", "step-2"]


def test_an_attempt_that_was_taken_for_dead_leaves_the_later_one_alone(
    url: str, tmp_path: Path
) -> None:
    there = Remote(url)
    send(there, tmp_path / "here", 1)
    send(Remote(url), tmp_path / "elsewhere", 2, attempt=1)
    checkpoint.save(tmp_path / "here", 99, 99)
    there.upload(3, tmp_path / "here", State.STOPPED)
    there.settle()
    Remote(url).fetch(3, tmp_path / "third")
    assert names(tmp_path / "third") == ["step-1", "step-2"]


def test_one_that_is_removed_while_it_is_copied_is_not_there(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, original = tmp_path / "here", Remote._copied

    def removed(self: Remote, number: int, step: int | None, source: Path, *rest: Any) -> Any:
        if step == 1 and order == "before":
            checkpoint.remove(source)
        copied = original(self, number, step, source, *rest)
        if step == 1:
            checkpoint.remove(source)
        return copied

    monkeypatch.setattr(Remote, "_copied", removed)
    for order in ("before", "after"):
        there = Remote(url)
        send(there, here, 1, 2)
        there.upload(3, here, State.STOPPED)
        there.close()
        assert there.news() == []
        Remote(url).fetch(3, tmp_path / order)
        assert names(tmp_path / order) == ["step-2"]
        files, root = fsspec.core.url_to_fs(url)
        assert len(files.find(root)) == 2, "the manifest and one file"


def test_a_trial_that_only_another_process_runs_is_not_written(url: str, tmp_path: Path) -> None:
    send(Remote(url), tmp_path / "here", 1)
    there = Remote(url)
    there.upload(3, tmp_path / "nothing", State.STOPPED)
    there.settle()
    Remote(url).fetch(3, tmp_path / "elsewhere")
    assert names(tmp_path / "elsewhere") == ["step-1"]


def test_a_first_attempt_begins_with_none(url: str, tmp_path: Path) -> None:
    """A study of this name that was deleted may have left some."""
    send(Remote(url), tmp_path / "here", 1)
    there = Remote(url)
    there.begin(3, 0, tmp_path / "elsewhere")
    Remote(url).fetch(3, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
    assert there.trials() == set()


def test_files_in_a_form_of_a_program_s_own_are_copied_when_it_ends(
    url: str, tmp_path: Path
) -> None:
    there, here = Remote(url), tmp_path / "here"
    (here / "parts").mkdir(parents=True)
    (here / "parts" / "a.bin").write_bytes(b"half")
    send(there, here)
    Remote(url).fetch(3, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
    (here / "parts" / "a.bin").write_bytes(b"whole")
    send(there, here, state=State.PAUSED, attempt=1)
    Remote(url).fetch(3, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "parts" / "a.bin").read_bytes() == b"whole"
    assert names(tmp_path / "elsewhere") == ["parts"]


def test_a_damaged_one_is_passed_over(url: str, tmp_path: Path) -> None:
    send(Remote(url), tmp_path / "here", 1, 2)
    files, root = fsspec.core.url_to_fs(url)
    (victim,) = (path for path in files.find(root) if "step-2-" in path)
    files.pipe_file(victim, b"")
    there = Remote(url)
    there.fetch(3, tmp_path / "elsewhere")
    assert names(tmp_path / "elsewhere") == ["step-1"]
    assert "trial 3 at 2" in there.news()[0]


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil"])
def test_a_manifest_leads_nowhere_else(url: str, tmp_path: Path, name: str) -> None:
    send(Remote(url), tmp_path / "here", 1)
    files, root = fsspec.core.url_to_fs(url)
    path = f"{root}/000003/checkpoints.json"
    manifest = json.loads(files.cat_file(path))
    manifest["saved"][0]["files"] = {name: 1}
    files.pipe_file(path, json.dumps(manifest).encode())
    with pytest.raises(ExecutorError, match="leads out of the trial's folder"):
        Remote(url).fetch(3, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists() or names(tmp_path / "elsewhere") == []


def test_one_trial_s_damage_is_that_trial_s_own(url: str, tmp_path: Path) -> None:
    """Every process that takes it would end otherwise."""
    send(Remote(url), tmp_path / "here", 1)
    files, root = fsspec.core.url_to_fs(url)
    path = f"{root}/000003/checkpoints.json"
    manifest = json.loads(files.cat_file(path))
    manifest["saved"][0]["files"] = {"../evil": 1}
    files.pipe_file(path, json.dumps(manifest).encode())
    keeper = Keeper(Folder(tmp_path / "elsewhere", url=url), print)
    with pytest.raises(NotFetched, match="trial 3 cannot be fetched") as caught:
        keeper.begin(3, 1)
    assert reason_of(caught.value).kind is Kind.LOST
    assert keeper._remote is not None
    keeper._remote._files = Cut(files)
    with pytest.raises(ExecutorError):
        keeper.begin(3, 1)


class Cut:
    """A network that is cut, for whatever is asked of a file system."""

    def __init__(self, files: Any) -> None:
        self.protocol, self.up, self._files = files.protocol, False, files

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._files, name)

        def tried(*arguments: Any, **options: Any) -> Any:
            if not self.up:
                raise ConnectionError("the network is cut")
            return verb(*arguments, **options)

        return tried


def test_a_cut_network_loses_nothing(url: str, tmp_path: Path) -> None:
    there = Remote(url)
    there.begin(3, 0, tmp_path / "here")
    cut = there._files = Cut(there._files)
    checkpoint.save(tmp_path / "here", 1, 1)
    there.upload(3, tmp_path / "here", State.RUNNING)
    there.settle()
    (said,) = there.news()
    assert f"trial 3 could not be copied to {url} (ConnectionError: the network is cut)" in said
    with pytest.raises(ExecutorError, match=r"trial 4 cannot be fetched .*the network is cut"):
        there.begin(4, 1, tmp_path / "other")
    cut.up = True
    there.close()
    assert there.news() == []
    Remote(url).fetch(3, tmp_path / "elsewhere")
    assert names(tmp_path / "elsewhere") == ["step-1"]


def test_one_that_stays_cut_is_told_of_in_the_end(url: str, tmp_path: Path) -> None:
    there = Remote(url)
    there.begin(3, 0, tmp_path / "here")
    there._files = Cut(there._files)
    checkpoint.save(tmp_path / "here", 1, 1)
    there.upload(3, tmp_path / "here", State.RUNNING)
    there.close()
    assert "are on this host alone" in there.news()[-1]


def test_a_place_that_cannot_be_used_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExecutorError, match=r"checkpoints cannot be kept in file://.*trials="):
        Remote(f"file://{tmp_path}/file/s").check()
    with pytest.raises(ExecutorError, match=r"trials=nothing://x cannot be used: .*nothing"):
        Remote("nothing://x")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ExecutorError, match=r"pip install 'tunesmith\[remote\]'"):
        Remote("memory://x")
