"""Trials' files: beside the store, a folder each, and gone with a study in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.files import write_json
from tunesmith.run.folder import Folder


class TestFolder:
    def test_is_beside_the_store(self, tmp_path: Path) -> None:
        folder = Folder.beside(tmp_path / "study.db", "digits")
        assert folder.path == tmp_path / "study.trials" / "digits"
        assert folder.trial(12) == tmp_path / "study.trials" / "digits" / "000012"
        assert folder.trial(1_234_567).name == "1234567"

    def test_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert Folder.beside(Path("study.db"), "a").path == tmp_path / "study.trials" / "a"

    def test_is_where_the_store_is_in_a_home(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert Folder.beside(Path("~/study.db"), "a").path == tmp_path / "study.trials" / "a"

    def test_nothing_is_made_before_it_is_needed(self, tmp_path: Path) -> None:
        folder = Folder.beside(tmp_path / "study.db", "digits")
        folder.trial(0)
        assert list(tmp_path.iterdir()) == []
        assert folder.make(0).is_dir()
        assert folder.make(0).is_dir(), "once more does no harm"

    def test_stays(self, tmp_path: Path) -> None:
        folder = Folder.beside(tmp_path / "study.db", "digits")
        folder.make(0)
        folder.close()
        assert folder.trial(0).is_dir()

    def test_of_a_study_in_memory_goes(self) -> None:
        folder = Folder.beside(None, "digits")
        (folder.make(0) / "file").write_text("x")
        folder.close()
        assert not folder.path.exists()
        folder.close()

    def test_two_studies_in_memory_have_one_each(self) -> None:
        one, two = Folder.beside(None, "digits"), Folder.beside(None, "digits")
        assert one.path != two.path
        one.close()
        two.close()

    @pytest.mark.parametrize(
        ("one", "two"),
        [("a.db", "b.db"), ("exp.1", "exp.2"), ("study.db", "study.sqlite"), ("study", "study.db")],
    )
    def test_two_stores_share_none(self, tmp_path: Path, one: str, two: str) -> None:
        """Else the second study's trials overwrite the files of the first's."""
        first = Folder.beside(tmp_path / one, "digits")
        second = Folder.beside(tmp_path / two, "digits")
        assert first.path != second.path


class TestWriteJson:
    def test_the_file_is_there_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        write_json(path, {"x": 0.1, "name": "☃", "list": [1, None]})
        assert json.loads(path.read_text()) == {"x": 0.1, "name": "☃", "list": [1, None]}
        assert [p.name for p in tmp_path.iterdir()] == ["config.json"], "no draft is left"

    def test_an_older_one_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        write_json(path, {"x": list(range(1000))})
        write_json(path, {"x": 1})
        assert json.loads(path.read_text()) == {"x": 1}

    def test_what_is_no_json_leaves_the_old_one(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        write_json(path, {"x": 1})
        with pytest.raises(TypeError):
            write_json(path, {"x": {1, 2}})
        assert json.loads(path.read_text()) == {"x": 1}
