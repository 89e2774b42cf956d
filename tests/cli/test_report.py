"""tunesmith report"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.program import tunesmith
from tests.tuning.jobs import write_job


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_job(folder, enqueue=[{"x": x} for x in (0.5, 0.25, 1.0, 0.75)])
    assert tunesmith(folder, "run", "job.yaml", "-q").code == 0
    return folder


def test_report(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    said = tunesmith(made, "report", "small", "-o", target)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"report of small written to {target}\n"
    html = target.read_text()
    assert "The best of 4 trials reached loss 0." in html
    assert "too much" in html  # why one of them failed


def test_report_takes_the_study_s_name(made: Path) -> None:
    found = tunesmith(made, "report", "--json").json
    path = made / "small.html"
    assert found == {"study": "small", "report": str(path), "bytes": path.stat().st_size}
    path.unlink()


def test_report_into_a_folder(made: Path, tmp_path: Path) -> None:
    assert tunesmith(made, "report", "-o", tmp_path).code == 0
    assert (tmp_path / "small.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "smal"], "did you mean 'small'"),
        (["report", "-o", "none/r.html"], "the report cannot be written to none/r.html"),
    ],
)
def test_wrong_calls_of_report(made: Path, arguments: list[str], words: str) -> None:
    said = tunesmith(made, *arguments)
    assert said.code == 2
    assert words in said.err
    assert not list(made.glob("*.html"))
