"""What notebooks show: HTML with figures, from nowhere else, in which hostile texts stay texts; in a real kernel, too."""

from __future__ import annotations

import re
import signal
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.analysis.studies import SPACE, complete, fail, loss, mixed_study, random_study, study

import tunesmith as ts
from tunesmith.core.ledger import Ledger
from tunesmith.tuning.feed import Feed
from tunesmith.tuning.notebook import progress_html
from tunesmith.tuning.result import Result

HOSTILE = "<script>alert(1)</script>&\"'"


class Checked(HTMLParser):
    """Every element is closed, nothing runs, and nothing is loaded from anywhere."""

    VOID = frozenset({"br", "rect", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.ids: list[str] = []
        self.feed(html)
        assert self.open == []
        assert not self.seen & {"script", "iframe", "link", "img", "object", "embed", "form"}
        assert not re.search(r"https?://|@import|url\((?!#)", html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.open.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def made() -> dict[str, Ledger]:
    failed = study()
    fail(failed, {**SPACE.default()}, HOSTILE)
    two = study(metrics=("a", "b"))
    for k in range(6):
        complete(two, {**SPACE.default(), "learning_rate": 10 ** (-2 - k / 4)}, k, 6 - k)
    one = study()
    complete(one, {**SPACE.default()}, 0.5)
    return {
        "empty": study(),
        "failed": failed,
        "one": one,
        "two objectives": two,
        "random": random_study(SPACE, loss, 40),
        "mixed": mixed_study(40),
        "maximised": mixed_study(40, goal="maximize"),
        "equal": random_study(SPACE, lambda _: 1.0, 12),
    }


@pytest.mark.parametrize("name", list(made()))
def test_every_result_shows_itself(name: str) -> None:
    result = Result(made()[name])
    page = Checked(result._repr_html_())
    assert "study" in page.text
    drawn = page.text.count("Best loss so far")
    assert drawn == (name in ("one", "random", "mixed", "maximised", "equal"))


def test_a_result_says_what_to_take_and_what_mattered() -> None:
    result = Result(mixed_study(60))
    page = Checked(result._repr_html_())
    assert f"trial {result.best.number} has the best loss" in page.text
    assert "learning_rate" in page.text
    assert "Importance of each parameter" in page.text
    assert "Learning curves" in page.text
    assert "more trials are expected to gain" in page.text
    assert "svg" in page.seen


def test_hostile_texts_stay_texts() -> None:
    space = ts.Space(x=ts.Float(0, 1), kind=ts.Choice(HOSTILE, "b"))
    ledger = study(space, metrics=HOSTILE)
    for k in range(12):
        complete(ledger, {"x": k / 12, "kind": (HOSTILE, "b")[k % 2]}, k % 5, reports=(1.0, 2.0))
    result = Result(ledger)
    importance, outlook = result.importance(), result.outlook()
    assert importance is not None
    assert outlook is not None
    for html in (result, result.best, importance, outlook):
        page = Checked(html._repr_html_())
        assert "alert(1)" not in " ".join(page.seen)
    assert HOSTILE in Checked(result.best._repr_html_()).text
    moment = Feed().moment(made()["failed"], 60.0)
    Checked(progress_html(moment))


def test_cells_on_one_page_share_no_names() -> None:
    """A figure's clipping area was named by its place: the second cell used that of the first."""
    one = Checked(Result(mixed_study(40))._repr_html_())
    other = Checked(Result(mixed_study(41))._repr_html_())
    assert not set(one.ids) & set(other.ids)
    assert len(set(one.ids)) == len(one.ids)


def test_a_study_shows_its_result() -> None:
    with ts.Study.create(ts.Space(x=ts.Float(0, 1)), metric="loss") as opened:
        opened.tell(opened.ask(), 0.5)
        page = Checked(opened._repr_html_())
    assert "1 trial · best loss 0.5 (trial 0)" in page.text


def test_progress_is_a_bar_and_the_text_of_terminals() -> None:
    ledger = study(trials=4)
    complete(ledger, {**SPACE.default()}, 0.5)
    moment = Feed().moment(ledger, 120.0)
    page = Checked(progress_html(moment))
    assert "progress" in page.seen
    assert str(moment) in page.text
    assert 'value="0.2500"' in progress_html(moment)


class TestCurves:
    def test_a_row_for_each_report(self) -> None:
        pd = pytest.importorskip("pandas")
        ledger = study()
        complete(ledger, {**SPACE.default()}, 0.25, reports=(0.75, 0.5, 0.25))
        complete(ledger, {**SPACE.default()}, 0.5)
        complete(ledger, {**SPACE.default()}, 0.5, reports=(1.0,))
        curves = Result(ledger).curves()
        assert isinstance(curves, pd.DataFrame)
        assert list(curves.columns) == ["trial", "step", "since_s", "loss"]
        assert curves["trial"].tolist() == [0, 0, 0, 2]
        assert curves["step"].tolist() == [1, 2, 3, 1]
        assert curves["loss"].tolist() == [0.75, 0.5, 0.25, 1.0]
        assert curves["since_s"].is_monotonic_increasing or len(set(curves["trial"])) > 1

    def test_without_pandas_and_without_reports(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pandas", None)
        assert Result(study()).curves() == []
        ledger = study()
        complete(ledger, {**SPACE.default()}, 0.25, reports=(0.75,))
        [row] = Result(ledger).curves()
        assert (row["trial"], row["step"], row["loss"]) == (0, 1, 0.75)

    def test_a_metric_that_is_called_like_a_column(self) -> None:
        ledger = study(metrics="step")
        complete(ledger, {**SPACE.default()}, 0.25, reports=(0.75,))
        assert list(Result(ledger).curves()) == ["trial", "step", "since_s", "metric.step"]


def run_cells(*cells: str) -> list[list[dict[str, Any]]]:
    """The outputs of the cells of a notebook that a real kernel runs."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [[dict(output) for output in cell.outputs] for cell in notebook.cells]


@pytest.mark.filterwarnings("ignore")  # the kernel's client has its own
def test_in_a_real_kernel() -> None:
    tuned, shown, best, importance, study_shown = run_cells(
        "import tunesmith as ts\n"
        "def train(config, trial):\n"
        "    for step in range(1, 4):\n"
        "        trial.report(step=step, loss=config['x'] + 1 / step)\n"
        "    return config['x']\n"
        "result = ts.tune(train, ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)), metric='loss', trials=15, seed=1)",
        "result",
        "result.best",
        "result.importance()",
        "study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), name='asked')\nstudy.tell(study.ask(), 0.5)\nstudy",
    )
    drawn = [output for output in tuned if "data" in output]
    assert len(drawn) == 1, "one display, written over"
    page = Checked(drawn[0]["data"]["text/html"])
    assert "15/15 trials" in page.text
    assert not [output for output in tuned if output["output_type"] == "stream"], (
        "and no line beside it"
    )
    for outputs, words in (
        (shown, "Learning curves"),
        (best, "completed"),
        (importance, "Importance of each parameter"),
        (study_shown, "asked"),
    ):
        [output] = outputs
        assert words in Checked(output["data"]["text/html"]).text


def test_watching_a_study_that_runs_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By another thread's hand: nobody at first, then to its end."""
    storage = tmp_path / "s.db"
    ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=storage, trials=3).close()

    def elsewhere() -> None:
        with ts.Study.open(storage=storage) as study:
            for _ in range(3):
                study.tell(study.ask(), 0.5)

    thread = threading.Timer(0.2, elsewhere)
    thread.start()
    with ts.Study.open(storage=storage) as study:
        result = study.watch()
    thread.join()
    assert len(result.trials) == 3
    shown = capsys.readouterr().err
    assert "nobody runs study 's' at the moment" in shown
    assert "3/3" in shown


def test_watching_is_interrupted(tmp_path: Path) -> None:
    study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), trials=3)
    main = threading.get_ident()
    timer = threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGINT])
    timer.start()
    assert len(study.watch().trials) == 0
    timer.join()
