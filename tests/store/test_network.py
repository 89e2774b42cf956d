"""Files on network file systems are known as such."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.errors import StoreError
from tunesmith.store import network
from tunesmith.store.network import file_system, network_of
from tunesmith.tuning import session
from tunesmith.tuning.doctor import check_environment
from tunesmith.tuning.shared_folder import faults


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the kernel say that the tests' folder is on some kind of file system."""

    def mount(kind: str) -> None:
        device = tmp_path.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        table = (
            "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
            f"31 22 {number} /export /mnt/a\\040b rw,noatime shared:7 - {kind} server:/export rw,vers=4.2\n"
        )
        (tmp_path / "mountinfo").write_text(table)
        monkeypatch.setattr(network, "_MOUNTS", tmp_path / "mountinfo")
        monkeypatch.setattr(sys, "platform", "linux")

    return mount


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("nfs4", "nfs4"), ("cifs", "cifs"), ("fuse.sshfs", "sshfs"), ("9p", "9p"), ("lustre", "lustre"), ("gpfs", "gpfs"),
        ("ext4", None), ("fuse.lxcfs", None), ("tmpfs", None), ("overlay", None), ("zfs", None),
    ],
)  # fmt: skip
def test_kinds(tmp_path: Path, mounted: Any, kind: str, known: str | None) -> None:
    mounted(kind)
    assert network_of(tmp_path / "not" / "there" / "study.db") == known


def test_the_kernel_s_own_table(tmp_path: Path) -> None:
    assert network_of(tmp_path) is None
    if sys.platform == "linux":
        assert file_system(Path("/proc/version")) == "proc"


def test_what_cannot_be_read_is_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_MOUNTS", tmp_path / "nothing")
    monkeypatch.setattr(sys, "platform", "linux")
    assert network_of(tmp_path) is None


def run(storage: Path, **options: Any) -> ts.Result:
    return ts.tune(
        lambda c: c["x"], ts.Space(x=ts.Float(0, 1)), name="s", storage=str(storage), trials=2, progress=False, **options
    )  # fmt: skip


def test_joining_is_refused_and_says_what_to_use(tmp_path: Path, mounted: Any) -> None:
    mounted("nfs4")
    with pytest.raises(StoreError, match=r"join: .*study\.db .*\(nfs4\).*postgresql://.*http://"):
        run(tmp_path / "study.db", join=True)
    assert not (tmp_path / "study.db").exists()


def test_one_process_is_warned(
    tmp_path: Path, mounted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mounted("lustre")
    assert len(run(tmp_path / "study.db").trials) == 2
    assert "network file system (lustre)" in capsys.readouterr().err
    study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="t", storage=tmp_path / "study.db")
    with study, pytest.warns(UserWarning, match=r"network file system \(lustre\)"):
        study.ask()


def test_processes_of_two_hosts_are_refused(
    tmp_path: Path, mounted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.db"
    with ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=path) as first:
        first.ask()
        mounted("nfs")
        monkeypatch.setattr(session, "this_machine", lambda: "another")
        monkeypatch.setattr(session, "_me", lambda _: ("elsewhere", 0.0))
        with (
            ts.Study.open("s", storage=path) as second,
            pytest.raises(StoreError, match=r"worked on by process \d+ on .*\(nfs\)"),
        ):
            second.ask()
        with pytest.raises(StoreError, match=r"worked on by process \d+ on .*\(nfs\)"):
            run(path)
    history = list(ts.Study.open("s", storage=path).store.changes("s"))
    assert sum(isinstance(e, events.Opened) for e in history) == 1


class TestDoctor:
    def test_says_so(self, tmp_path: Path, mounted: Any) -> None:
        mounted("nfs4")
        run(tmp_path / "study.db")
        said = [(f.level, f.text) for f in check_environment(tmp_path / "study.db")]
        assert any(level == "warning" and "(nfs4)" in text for level, text in said)
        assert any(level == "ok" and "locked as they should" in text for level, text in said)

    def test_a_good_folder_has_no_faults(self, tmp_path: Path) -> None:
        assert list(faults(tmp_path)) == []
        assert list(tmp_path.iterdir()) == []

    def test_one_that_cannot_be_written(self, tmp_path: Path) -> None:
        assert "cannot be written" in next(faults(tmp_path / "nothing"))

    def test_another_clock(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from tunesmith.tuning import shared_folder

        clock = shared_folder._clock_s
        monkeypatch.setattr(shared_folder, "_clock_s", lambda path: clock(path) - 300)
        (fault,) = faults(tmp_path)
        assert "300 s behind" in fault

    def test_locks_that_keep_nobody_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import fcntl

        monkeypatch.setattr(fcntl, "lockf", lambda *_: None)
        (fault,) = faults(tmp_path)
        assert "does not keep other processes out" in fault
