"""What is sent of a folder, and what is accepted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tunesmith.core.errors import JobError
from tunesmith.tuning import parcel
from tunesmith.tuning.parcel import File, check, pack, pack_data

DIGEST = "0" * 64

PATTERNS = """\
# a comment
*.csv
!keep.csv
/top.txt
build/
docs/*.html
**/cache
a/**/z
deep/**
data[0-9].bin
what?.log
\\!odd
spaced\\
nota.[!p]y
trailing
"""

PATHS = [
    "a.csv", "keep.csv", "sub/b.csv", "sub/keep.csv", "top.txt", "sub/top.txt", "build/x", "sub/build/y", "docs/i.html",
    "docs/sub/i.html", "sub/docs/i.html", "cache/x", "sub/cache/x", "a/z", "a/b/z", "a/b/c/z", "az", "deep/x", "deep/y/z",
    "data1.bin", "dataX.bin", "sub/data1.bin", "what1.log", "what12.log", "!odd", "nota.cy", "nota.py", "trailing", "b.txt",
]  # fmt: skip


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


class TestPack:
    def test_as_git_does(self, tmp_path: Path) -> None:
        write(tmp_path, *PATHS)
        (tmp_path / ".gitignore").write_text(PATTERNS)
        (tmp_path / "sub/.gitignore").write_text("!b.csv\n/data1.bin\n")
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        listed = subprocess.run(
            ["git", "-C", tmp_path, "ls-files", "-z", "-co", "--exclude-standard"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert {file.path for file in pack(tmp_path)} == set(listed.stdout.strip("\0").split("\0"))

    def test_a_folder_of_a_repository(self, tmp_path: Path) -> None:
        write(tmp_path, "job/train.py", "job/x.pt", "job/keep.pt")
        (tmp_path / ".git").mkdir()
        (tmp_path / ".gitignore").write_text("*.pt\n")
        (tmp_path / "job/.gitignore").write_text("!keep.pt\n")
        names = [file.path for file in pack(tmp_path / "job")]
        assert names == [".gitignore", "keep.pt", "train.py"]

    def test_what_is_never_sent(self, tmp_path: Path) -> None:
        write(
            tmp_path, "train.py", ".git/config", "env/pyvenv.cfg", "env/bin/python", "__pycache__/x.pyc", "tunesmith.db",
            "tunesmith.db-wal", "a.trials/0/log",
        )  # fmt: skip
        assert [file.path for file in pack(tmp_path)] == ["train.py"]

    def test_modes_and_contents(self, tmp_path: Path) -> None:
        write(tmp_path, "a", "b")
        (tmp_path / "a").chmod(0o4755)
        a, b = pack(tmp_path)
        assert (a.executable, b.executable) == (True, False)
        assert a.size == 1
        assert a.sha256.startswith("ca978112")

    def test_links_are_named(self, tmp_path: Path) -> None:
        write(tmp_path, "a")
        (tmp_path / "link").symlink_to("/etc/passwd")
        with pytest.raises(JobError, match="link is a link"):
            pack(tmp_path)
        (tmp_path / ".gitignore").write_text("link\n")
        assert [file.path for file in pack(tmp_path)] == [".gitignore", "a"]

    def test_limits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path, "aa", "bb")
        for name, most in (("MOST_FILE", 1), ("MOST_BYTES", 3), ("MOST_FILES", 1)):
            with monkeypatch.context() as patched:
                patched.setattr(parcel, name, most)
                with pytest.raises(JobError, match="gitignore"):
                    pack(tmp_path)


HOSTILE = [
    "", "/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a\\..\\b", "C:/x", "c:x", "a\0b", "a\nb", "a\x1b[2Jb",
    "a\u202eb", ".git/hooks/post-checkout", ".GIT/config", "x" * 201, "/".join("x" * 21), "/".join(["y" * 150] * 4), "\ud800",
]  # fmt: skip


class TestCheck:
    @pytest.mark.parametrize("path", HOSTILE)
    def test_paths(self, path: str) -> None:
        with pytest.raises(JobError, match="is no path"):
            check([File(path, DIGEST, 1)])

    @pytest.mark.parametrize(
        "paths",
        [("a", "a"), ("a", "A"), ("d/a", "D/b"), ("a", "a/b"), ("a/b", "a"), ("\u00e9", "e\u0301"), ("stra\u00dfe", "STRASSE")],
    )  # fmt: skip
    def test_doubles(self, paths: tuple[str, str]) -> None:
        with pytest.raises(JobError):
            check([File(path, DIGEST, 1) for path in paths])

    def test_sizes_and_digests(self) -> None:
        for files in (
            [File("a", DIGEST, -1)],
            [File("a", DIGEST, parcel.MOST_FILE + 1)],
            [File(f"a{n}", DIGEST, parcel.MOST_FILE) for n in range(9)],
            [File(f"a{n}", DIGEST, 0) for n in range(parcel.MOST_FILES + 1)],
            [File("a", "A" * 64, 1)],
            [File("a", "../" + "0" * 61, 1)],
            [],
        ):
            with pytest.raises(JobError):
                check(files)

    def test_ordinary_names(self) -> None:
        names = (
            "train.py",
            "src/модель.py",
            "a b/c d.csv",
            "...",
            "..a",
            ".gitignore",
            "d/a",
            "d/b",
        )
        check([File(path, DIGEST, 1) for path in names])


class TestData:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """In a repository that does not keep its data."""
        (tmp_path / ".gitignore").write_text("pictures\n*.png\n")
        for name in ("cat/1.png", "dog/2.png", "dog/.hidden.png", ".cache/3.png", "cat/.DS_Store"):
            path = tmp_path / "pictures" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        return tmp_path / "pictures"

    def test_all_but_what_is_hidden(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        there = ["pictures/cat/1.png", "pictures/dog/2.png"]
        assert [file.path for file in pack_data(folder)] == there
        monkeypatch.chdir(folder)
        assert [file.path for file in pack_data(Path())] == there

    def test_what_cannot_be_sent(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "cat" / "link.png").symlink_to("/etc/passwd")
        with pytest.raises(JobError, match=r"link\.png is a link, .* take it away"):
            pack_data(folder)
        (folder / "cat" / "link.png").unlink()
        monkeypatch.setattr(parcel, "MOST_FILES", 1)
        with pytest.raises(JobError, match=r"more than 1 files .* copy the folder to where"):
            pack_data(folder)
        (folder.parent / "none").mkdir()
        with pytest.raises(JobError, match="has no files"):
            pack_data(folder.parent / "none")
