"""Checkpoints: there whole or not at all, and kept as long as somebody needs them."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.core.driver import completed, opened, reported, spec, started, suggested

from tunesmith.core import events
from tunesmith.core.constraint import constraints_of
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import CONFIRM, Kind, Origin, Reason, State
from tunesmith.run import checkpoint
from tunesmith.run.folder import CHECKPOINT, FULL, Folder
from tunesmith.run.retention import Keeper

ROOM_FOR_TWO = 2500


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir()) if path.is_dir() else []


def put(folder: Folder, trial: int, step: int, size: int = 1000) -> None:
    """A checkpoint of `size` bytes."""
    with checkpoint.writing(folder.make(trial) / CHECKPOINT, step) as path:
        (path / "weights").write_bytes(b"x" * size)


class TestWriting:
    def test_what_was_saved_comes_back(self, tmp_path: Path) -> None:
        assert checkpoint.restore(tmp_path / "none") is None
        checkpoint.save(tmp_path, {"epoch": 1}, 1)
        checkpoint.save(tmp_path, {"epoch": 10}, 10)
        checkpoint.save(tmp_path, {"epoch": 9}, 9)
        assert checkpoint.restore(tmp_path) == (10, {"epoch": 10})
        assert [c.step for c in checkpoint.complete(tmp_path)] == [1, 9, 10]

    def test_the_same_step_again(self, tmp_path: Path) -> None:
        checkpoint.save(tmp_path, "old", 3)
        checkpoint.save(tmp_path, "new", 3)
        assert checkpoint.restore(tmp_path) == (3, "new")
        assert names(tmp_path) == ["step-3"]

    def test_a_block_that_raises_leaves_nothing(self, tmp_path: Path) -> None:
        def torn() -> None:
            with checkpoint.writing(tmp_path, 1) as path:
                (path / "half").write_text("of it")
                raise RuntimeError("the power went")

        with pytest.raises(RuntimeError, match="the power went"):
            torn()
        assert names(tmp_path) == []

    def test_a_torn_one_is_ignored(self, tmp_path: Path) -> None:
        """A program that is killed while it writes: what was complete before is what counts."""
        code = f"""
            import time
            from pathlib import Path
            from tunesmith.run import checkpoint
            checkpoint.save(Path({str(tmp_path)!r}), "whole", 1)
            with checkpoint.writing(Path({str(tmp_path)!r}), 2) as path:
                (path / "state.pkl").write_bytes(b"half")
                print("now", flush=True)
                time.sleep(60)
        """
        program = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "now\n"
        program.send_signal(signal.SIGKILL)
        program.communicate()
        assert checkpoint.restore(tmp_path) == (1, "whole")
        checkpoint.save(tmp_path, "again", 2)
        assert names(tmp_path) == ["step-1", "step-2"]

    def test_a_damaged_one_is_passed_over(self, tmp_path: Path) -> None:
        checkpoint.save(tmp_path, "good", 1)
        checkpoint.save(tmp_path, "bad", 2)
        (file,) = (tmp_path / "step-2").iterdir()  # torch's, where a test before has loaded it
        file.write_bytes(b"\x80\x04")
        with pytest.warns(RuntimeWarning, match=r"step-2 cannot be read .* another one is taken"):
            assert checkpoint.restore(tmp_path) == (1, "good")

    @pytest.mark.parametrize("step", [1.5, "1", None, True])
    def test_what_is_no_step(self, tmp_path: Path, step: Any) -> None:
        with pytest.raises(ValueError, match="a checkpoint's step is a whole number"):
            checkpoint.save(tmp_path, {}, step)

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        checkpoint.save(tmp_path, "kept", 1)

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.warns(RuntimeWarning, match="at step 2 was not kept: .*No space left"):
            checkpoint.save(tmp_path, "too much", 2)
        assert checkpoint.restore(tmp_path) == (1, "kept")
        assert names(tmp_path) == ["step-1"]

    def test_torch_state_dicts(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        checkpoint.save(tmp_path, {"weights": torch.ones(3), "epoch": 2}, 2)
        assert names(tmp_path / "step-2") == ["state.pt"]
        found = checkpoint.restore(tmp_path)
        assert found is not None
        assert found[1]["weights"].tolist() == [1.0, 1.0, 1.0]


class TestKeeper:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path / "study")

    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @pytest.fixture
    def keeper(self, folder: Folder, said: list[str]) -> Keeper:
        return Keeper(folder, said.append)

    def kept(self, folder: Folder, trial: int) -> list[str]:
        return names(folder.trial(trial) / CHECKPOINT)

    def test_a_running_trial_keeps_its_last_and_its_best(
        self, folder: Folder, keeper: Keeper
    ) -> None:
        study = Ledger(spec()).extend([opened(), suggested(0)])
        for step, loss in enumerate([0.5, 0.2, 0.3, 0.4], start=1):
            put(folder, 0, step)
            study.apply(reported(0, step, loss))
            keeper.look(study, [0])
        assert self.kept(folder, 0) == ["step-2", "step-4"]

    def test_what_a_trial_goes_on_from_stays_until_a_later_one_is_reported(
        self, folder: Folder, keeper: Keeper
    ) -> None:
        """A program may be killed after it has saved a step, and before it has reported it."""
        study = Ledger(spec()).extend([opened(), suggested(0)])
        for step, loss in enumerate([0.5, 0.2, 0.3, 0.4, 0.45, 0.46], start=1):
            put(folder, 0, step)
            study.apply(reported(0, step, loss))
            keeper.look(study, [0])
        put(folder, 0, 7)
        study.apply(events.Paused(3.0, 0, 0, Reason(Kind.PAUSED, "wait")))
        keeper.look(study, [0])
        assert self.kept(folder, 0) == ["step-2", "step-6", "step-7"]

    def test_a_disk_limit_leaves_what_a_trial_goes_on_from(
        self, folder: Folder, keeper: Keeper
    ) -> None:
        study = Ledger(spec(disk=ROOM_FOR_TWO)).extend([opened(), suggested(0)])
        for step, loss in enumerate([0.2, 0.3], start=1):
            put(folder, 0, step)
            study.apply(reported(0, step, loss))
        put(folder, 0, 3)
        keeper.look(study, [0])
        assert self.kept(folder, 0) == ["step-2", "step-3"]

    def test_of_those_that_ended_the_best_ones_stay(self, folder: Folder, keeper: Keeper) -> None:
        study = Ledger(spec(keep=2)).extend([opened()])
        for number, loss in enumerate([0.5, 0.2, 0.3, 0.1, 0.4]):
            study.apply(suggested(number))
            put(folder, number, 1)
            study.apply(reported(number, 1, loss))
            study.apply(completed(number, loss))
            keeper.look(study, [number])
        assert [n for n in range(5) if self.kept(folder, n)] == [1, 3]

    @pytest.mark.parametrize("limit", [{"keep": 2}, {"keep": "all", "disk": ROOM_FOR_TWO}])
    def test_a_trial_that_breaks_a_constraint_is_kept_after_those_that_break_none(
        self, folder: Folder, keeper: Keeper, limit: dict[str, Any]
    ) -> None:
        within = tuple(constraints_of(["loss >= 0.2"]))
        study = Ledger(spec(constraints=within, **limit)).extend([opened()])
        for number, loss in enumerate([0.3, 0.1, 0.2]):
            study.apply(suggested(number))
            put(folder, number, 1)
            study.apply(completed(number, loss))
            keeper.look(study, [number])
        assert [n for n in range(3) if self.kept(folder, n)] == [0, 2]

    def test_the_best_ones_stay_while_they_are_confirmed(
        self, folder: Folder, keeper: Keeper
    ) -> None:
        """Whichever of them wins, and however lucky a run that confirms it is."""
        study = Ledger(spec(confirm=2)).extend([opened()])
        for number, loss in enumerate([0.3, 0.1, 0.2]):
            study.apply(suggested(number))
            put(folder, number, 1)
            study.apply(completed(number, loss))
            keeper.look(study, [number])
        again = Origin(CONFIRM, "once more")
        for number, loss in ((3, 0.05), (4, 0.15)):
            study.apply(events.Enqueued(2.0, number, {"x": 0.0, "c": "a"}, again, {}, 1))
            study.apply(started(number))
            put(folder, number, 1)
            study.apply(completed(number, loss))
            keeper.look(study, [number])
        assert [n for n in range(5) if self.kept(folder, n)] == [1, 2]

    def test_a_disk_limit_takes_runs_that_confirm_before_what_they_confirm(
        self, folder: Folder, keeper: Keeper
    ) -> None:
        study = Ledger(spec(keep="all", confirm=1, disk=ROOM_FOR_TWO)).extend([opened()])
        for number, loss in enumerate([0.2, 0.1]):
            study.apply(suggested(number))
            put(folder, number, 1)
            study.apply(completed(number, loss))
        again = Origin(CONFIRM, "once more")
        study.apply(events.Enqueued(2.0, 2, {"x": 0.0, "c": "a"}, again, {}, 1))
        study.apply(started(2))
        put(folder, 2, 1)
        study.apply(completed(2, 0.05))
        keeper.look(study, [2])
        assert [n for n in range(3) if self.kept(folder, n)] == [0, 1]

    def test_stopped_and_failed_ones_go(self, folder: Folder, keeper: Keeper) -> None:
        study = Ledger(spec()).extend([opened(), suggested(0), suggested(1)])
        reason = Reason(Kind.STOPPED, "hopeless")
        for number, state in enumerate([State.STOPPED, State.FAILED]):
            put(folder, number, 1)
            values = (0.5,) if state is State.STOPPED else None
            study.apply(events.Finished(3.0, number, 0, state, values, {}, reason))
        keeper.look(study, [0, 1])
        assert self.kept(folder, 0) == self.kept(folder, 1) == []

    def test_all_of_them(self, folder: Folder, keeper: Keeper) -> None:
        study = Ledger(spec(keep="all")).extend([opened()])
        for number in range(3):
            study.apply(suggested(number))
            put(folder, number, 1)
            study.apply(completed(number, float(number)))
            keeper.look(study, [number])
        assert all(self.kept(folder, n) == ["step-1"] for n in range(3))

    def test_a_disk_limit(self, folder: Folder, keeper: Keeper, said: list[str]) -> None:
        """Paused trials go first, the worst of them; then nobody saves any more, and everybody is told."""
        study = Ledger(spec(disk=ROOM_FOR_TWO)).extend([opened(), *map(suggested, range(4))])
        pause = Reason(Kind.PAUSED, "at step 1")
        for number in range(4):
            put(folder, number, 1)
            study.apply(reported(number, 1, float(number)))
            if number < 3:
                study.apply(events.Paused(3.0, number, 0, pause))
            keeper.look(study, [number])
        assert [n for n in range(4) if self.kept(folder, n)] == [0, 3]
        assert said == []
        study.extend([started(0, 1), started(1, 1)])
        put(folder, 1, 1)
        study.apply(reported(1, 2, 0.5))
        keeper.look(study, [1])
        assert said == [
            (
                "the checkpoints that running trials and the best one need take 2.9 KiB, over the study's disk "
                "limit of 2.4 KiB; trials save none until there is room"
            )
        ]
        with pytest.warns(RuntimeWarning, match="at step 2 was not kept: the checkpoints that"):
            put(folder, 1, 2)
        assert self.kept(folder, 1) == ["step-1"]
        study.apply(events.Finished(3.0, 3, 0, State.FAILED, None, {}, Reason(Kind.ERROR, "x")))
        keeper.look(study, [3])
        assert not (folder.path / FULL).exists()
        put(folder, 1, 2)

    def test_a_new_coordinator_counts_what_is_there(self, folder: Folder, said: list[str]) -> None:
        study = Ledger(spec()).extend([opened()])
        for number, loss in enumerate([0.2, 0.1]):
            study.apply(suggested(number))
            put(folder, number, 1)
            study.apply(completed(number, loss))
            Keeper(folder, said.append).look(study, [number])
        assert [n for n in range(2) if self.kept(folder, n)] == [1]

    def test_what_a_deleted_study_left_there_is_not_counted(
        self, folder: Folder, keeper: Keeper
    ) -> None:
        study = Ledger(spec(disk=ROOM_FOR_TWO)).extend([opened(), suggested(0)])
        for number in (0, 1, 2, 3):
            put(folder, number, 1)
        study.apply(completed(0, 0.5))
        keeper.look(study, [0])
        assert self.kept(folder, 0) == ["step-1"]
        assert not (folder.path / FULL).exists()

    def test_a_new_trial_begins_with_none(self, folder: Folder, keeper: Keeper) -> None:
        put(folder, 0, 5)
        (folder.trial(0) / CHECKPOINT / "model.bin").write_text("of a study that was deleted")
        keeper.begin(0, 0)
        assert self.kept(folder, 0) == []
        keeper.begin(1, 0)

    def test_a_limit_that_was_raised_makes_room(
        self, folder: Folder, keeper: Keeper, said: list[str]
    ) -> None:
        study = Ledger(spec(disk=500)).extend([opened(), suggested(0)])
        put(folder, 0, 1)
        keeper.look(study, [0])
        assert (folder.path / FULL).exists()
        study.apply(events.Edited(2.0, {"limits": {"disk": ROOM_FOR_TWO}}, "me"))
        Keeper(folder, said.append).look(study, [0])
        assert not (folder.path / FULL).exists()

    def test_a_limit_that_was_lifted_makes_room(self, folder: Folder, keeper: Keeper) -> None:
        study = Ledger(spec(disk=500)).extend([opened(), suggested(0)])
        put(folder, 0, 1)
        keeper.look(study, [0])
        study.apply(events.Edited(2.0, {"limits": {}}, "me"))
        keeper.look(study, [0])
        assert not (folder.path / FULL).exists()

    def test_a_pause_without_a_checkpoint_is_told_once(
        self, folder: Folder, keeper: Keeper, said: list[str]
    ) -> None:
        study = Ledger(spec()).extend([opened(), suggested(0), suggested(1)])
        for number in (0, 1):
            study.apply(events.Paused(3.0, number, 0, Reason(Kind.PAUSED, "wait")))
            keeper.look(study, [number])
        assert said == [
            (
                "trial 0 was paused without a checkpoint, and will start over if it goes on: call "
                "trial.save(state, step=...)"
            )
        ]

    def test_a_copy_begins_where_its_parent_is(self, folder: Folder, keeper: Keeper) -> None:
        put(folder, 0, 1)
        put(folder, 0, 2, size=7)
        keeper.inherit(Ledger(spec()), 0, 5)
        assert self.kept(folder, 5) == ["step-2"]
        weights = folder.trial(5) / CHECKPOINT / "step-2" / "weights"
        assert weights.read_bytes() == b"x" * 7
        assert weights.stat().st_nlink == 2, "shared, not copied"

    def test_a_copy_that_was_lost_before_it_began(self, folder: Folder, keeper: Keeper) -> None:
        put(folder, 0, 2)
        for _ in range(2):
            keeper.inherit(Ledger(spec()), 0, 5)
        assert self.kept(folder, 5) == ["step-2"]

    def test_a_copy_of_what_a_program_keeps_in_its_own_form(
        self, folder: Folder, keeper: Keeper
    ) -> None:
        path = folder.make(0) / CHECKPOINT
        path.mkdir()
        (path / "model.bin").write_text("weights")
        keeper.inherit(Ledger(spec()), 0, 1)
        mine = folder.trial(1) / CHECKPOINT / "model.bin"
        assert mine.read_text() == "weights"
        assert mine.stat().st_nlink == 1, "a program may write to its own again"


def test_weights_only_runs_no_code(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Touch:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "TOUCHED",)

    with checkpoint.writing(tmp_path / "pickle", 1) as folder:
        (folder / "state.pkl").write_bytes(pickle.dumps(Touch()))
    with checkpoint.writing(tmp_path / "torch", 1) as folder:
        torch.save({"model": Touch()}, folder / "state.pt")
    for kind in ("pickle", "torch"):
        with pytest.warns(RuntimeWarning, match="cannot be read"):
            assert checkpoint.restore(tmp_path / kind, weights_only=True) is None
    assert not (tmp_path / "TOUCHED").exists()
    with checkpoint.writing(tmp_path / "torch", 2) as folder:
        torch.save({"model": torch.ones(2), "step": 2}, folder / "state.pt")
    restored = checkpoint.restore(tmp_path / "torch", weights_only=True)
    assert restored is not None
    assert restored[1]["model"].tolist() == [1, 1]


def pickled(directory: Path, state: Any, step: int) -> None:
    with checkpoint.writing(directory, step) as folder:
        (folder / "state.pkl").write_bytes(pickle.dumps(state))


class TestStrangers:
    """What a trial did not save itself runs no code: the one before it is taken, with a warning that says why."""

    @pytest.mark.parametrize("part", ["step-2", "step-2/state.pkl"])
    def test_no_link_is_followed(self, tmp_path: Path, part: str) -> None:
        own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
        pickled(own, "mine", 1)
        pickled(own, "mine too", 2)
        pickled(elsewhere, "theirs", 2)
        if (own / part).is_dir():
            shutil.rmtree(own / part)
        else:
            (own / part).unlink()
        (own / part).symlink_to(elsewhere / part)
        with pytest.warns(RuntimeWarning, match=r"is a link: .*weights_only"):
            assert checkpoint.restore(own) == (1, "mine")

    def test_no_other_user_s_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pickled(tmp_path, "somebody's", 1)
        owner = tmp_path.stat().st_uid
        assert checkpoint.restore(tmp_path) == (1, "somebody's")
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        if owner == 0:  # what is root's is trusted
            assert checkpoint.restore(tmp_path) == (1, "somebody's")
            os.chown(tmp_path / "step-1" / "state.pkl", 4711, -1)
        with pytest.warns(RuntimeWarning, match=r"belongs to another user \(\d+\)"):
            assert checkpoint.restore(tmp_path) is None
