"""The report: what it says of studies of every kind, and that it is safe to open."""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.studies import (
    SPACE,
    begin,
    complete,
    fail,
    loss,
    mixed_study,
    random_study,
    stop,
    study,
)

from tunesmith.analysis import advice, findings
from tunesmith.analysis.importance import importance
from tunesmith.analysis.report import report, write_report
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core import events
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Space
from tunesmith.core.study import Strategy
from tunesmith.core.trial import CONFIRM, Cost, Kind, Origin, Reason, State

BAD = "</script><script>alert('x')</script>&\"'><img src=x onerror=alert(1)>"
VOID = {"wbr", "meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser makes of a page: its elements, texts and headings; fails if they do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.headings: list[str] = []
        self.feed(html.replace("<wbr>", ""))
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.said.append(data)
            if self.open[-1] in ("h1", "h2"):
                self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def read(ledger: Ledger) -> Page:
    return Page(report(ledger))


def one_trial() -> Ledger:
    made = study()
    complete(made, SPACE.default(), 0.5)
    return made


def only_failures() -> Ledger:
    made = study()
    for _ in range(4):
        fail(made, SPACE.default(), "ValueError: no such file", "Traceback\n  x.py, line 3")
    return made


def only_running() -> Ledger:
    made = study()
    begin(made, SPACE.default())
    return made


def equal_values() -> Ledger:
    return random_study(SPACE, lambda _: 1.0, 12)


def awful_values() -> Ledger:
    made = random_study(SPACE, loss, 20)
    for value in (1e300, -1e-300, math.inf):
        complete(made, SPACE.sample(np.random.default_rng(int(value == 1e300))), value)
    return made


def several() -> Ledger:
    made, rng = (
        study(SPACE, metrics=("error", "speed", "size"), goal=("minimize", "maximize", "minimize")),
        np.random.default_rng(0),
    )
    for _ in range(30):
        config = SPACE.sample(rng)
        complete(made, config, loss(config), -config["layers"], float(rng.random()))
    return made


def nothing_to_tune() -> Ledger:
    made = study(Space(epochs=3))
    complete(made, {"epochs": 3}, 1.0)
    complete(made, {"epochs": 3}, 2.0)
    return made


STUDIES: dict[str, tuple[Callable[[], Ledger], str]] = {
    "empty": (study, "No trial has been run yet."),
    "one": (one_trial, "The only trial reached loss 0.5."),
    "failures": (only_failures, "All 4 trials failed."),
    "running": (only_running, "No trial has been completed yet, of 1."),
    "equal": (equal_values, "The best of 12 trials reached loss 1."),
    "awful": (awful_values, "The best of 23 trials is trial"),
    "mixed": (mixed_study, "The best of 40 trials reached loss"),
    "several": (several, "that no other beats in all of error, speed and size."),
    "nothing": (nothing_to_tune, "The best of 2 trials reached loss 1."),
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_kind_of_study_has_a_report(name: str) -> None:
    make, headline = STUDIES[name]
    page = read(make())
    assert headline in page.headings[0]
    assert "What to try next" in page.headings
    assert "How to run it again" in page.headings
    for word in ("nan", "inf", "None", "NaN"):
        assert not re.search(rf"\b{word}\b", page.text), page.text


def test_nothing_is_loaded_from_anywhere() -> None:
    html = report(mixed_study())
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")  # type: ignore[union-attr]
    assert not re.search(r"https?://|@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_hostile_texts_stay_texts() -> None:
    space = Space(kind=Choice(BAD, "b", group="model"), x=Float(0, 1), fixed=BAD)
    made = study(space, metrics=BAD, scheduler=Strategy("asha", {"max": 9}))
    rng = np.random.default_rng(0)
    for k in range(15):
        config = space.sample(rng)
        if k % 5 == 4:
            fail(made, config, BAD, BAD)
        else:
            complete(made, config, config["x"] + (config["kind"] == "b"), reports=(2.0, 1.0))
    html = report(made)
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert BAD.replace("\n", " ") in page.text
    tips = re.search(r'id="tips">(.*?)</script>', html, re.DOTALL)
    assert tips is not None
    assert any(BAD[:20] in words for words in json.loads(tips[1])["texts"])


def test_what_a_full_report_says() -> None:
    page = read(mixed_study())
    assert page.headings[1:] == [
        "What won",
        "By how much, and how sure",
        "What to try next",
        "What mattered",
        "How the search went",
        "The best configs",
        "What it cost",
        "What was tuned",
        "How to run it again",
    ]
    for words in (
        "--learning_rate 0.",
        '"optimizer": "',
        "23 completed, 11 stopped early and 6 failed",
        "Learning curves",
        "Importance of each group",
        "CUDA out of memory",
        "optimizer = sgd",
        '{"asha": {"max": 9}}',
    ):
        assert words in page.text, words


def test_every_mark_knows_what_it_says() -> None:
    html = report(mixed_study())
    found = re.search(r'id="tips">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    tips = json.loads(found[1])
    for figure, drawing in re.findall(r'data-figure="(\d+)">(.*?)</svg>', html, re.DOTALL):
        for d, trace in re.findall(r'<path d="([^"]*)"[^>]*data-marks="(\d+)"', drawing):
            assert d.count("M") == len(tips["figures"][int(figure)][int(trace)])
    assert any(words.startswith("trial 0") for words in tips["texts"])


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "r.html"
    assert write_report(one_trial(), target) == target
    before = target.read_text()
    assert before.endswith("</html>\n")
    with pytest.raises(OSError, match="directory"):
        write_report(one_trial(), tmp_path / "no" / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]

    def fill(path: Path, words: str, **_: Any) -> None:
        path.write_bytes(words[: len(words) // 2].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill)
    for place in (target, tmp_path / "new.html"):
        with pytest.raises(OSError, match="No space left"):
            write_report(one_trial(), place)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    assert target.read_text() == before
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_report(one_trial(), tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "r.html"]


# -- sentences --------------------------------------------------------------------------------


def steps(ledger: Ledger) -> str:
    trials = TrialArrays(ledger)
    return "\n".join(advice.next_steps(trials, importance(trials.history), None))


def test_the_end_of_a_range_is_widened() -> None:
    space = Space(rate=Float(1e-5, 1e-1, log=True), depth=Int(1, 8), share=Float(0, 1))

    def value(config: dict[str, Any]) -> float:
        return float(-math.log10(config["rate"]) - config["depth"] - 9 * config["share"])

    made = random_study(space, value, 40)
    for rate in (0.08, 0.09, 0.1):
        config = {"rate": rate, "depth": 8, "share": 1.0}
        complete(made, config, value(config))
    said = steps(made)
    assert re.search(r"rate is best at the upper end .* widen it, to 1 say", said)
    assert re.search(r"depth is best at the upper end .* widen it, to 11 say", said)
    assert "share is best" not in said  # there is nothing beyond 1


def test_shares_are_not_widened_beyond_one() -> None:
    space = Space(momentum=Float(0, 0.99), keep=Float(0.1, 0.9), alpha=Float(1e-6, 1, log=True))

    def value(config: dict[str, Any]) -> float:
        return float(-math.log10(config["alpha"]) - 5 * config["keep"] - 5 * config["momentum"])

    made = random_study(space, value, 40)
    for near in (0.97, 0.98, 0.99):
        config = {"momentum": near, "keep": near - 0.09, "alpha": near}
        complete(made, config, value(config))
    complete(made, config := {"momentum": 0.99, "keep": 0.9, "alpha": 1.0}, value(config))
    said = steps(made)
    assert re.search(r"keep is best at the upper end .*: widen it, to 1 say", said)
    assert re.search(r"alpha .*: if more than 1 makes sense, widen it, to 10 say", said)
    assert "momentum is best" not in said


def test_a_recipes_report_begins_with_its_model() -> None:
    made = random_study(Space(keep=Float(0.1, 0.9)), lambda c: -c["keep"], 30)
    for keep in (0.88, 0.89, 0.9):
        complete(made, {"keep": keep}, -keep)
    said = Page(report(made, "accuracy 99.6% on 269 held-out images")).text
    assert "The model that came of it: accuracy 99.6% on 269 held-out images." in said
    assert "widen it" not in said  # the space is not the reader's
    assert "widen it" in read(made).text


def test_no_more_is_said_than_the_shares_bear_out() -> None:
    made = random_study(SPACE, loss, 30)
    trials = TrialArrays(made)
    found = importance(trials.history)
    assert found is not None
    assert "explain most of" in findings.what_mattered(trials, found)[0]
    third = tuple(replace(s, value=0.15) for s in found.parameters)
    said = findings.what_mattered(trials, replace(found, parameters=third))
    assert "explain the largest part; no few parameters explain most" in said[0]
    more = replace(found, results=found.results + 70)
    assert (
        "Of the 100 results behind this 70 are forecasts" in findings.what_mattered(trials, more)[1]
    )


def test_the_last_choice_in_order() -> None:
    space = Space(width=Choice(8, 16, 32, ordered=True), x=Float(0, 1))
    said = steps(random_study(space, lambda c: c["x"] - c["width"], 40))
    assert "width is best at 32, the last of its choices" in said


def test_what_makes_no_difference_is_fixed() -> None:
    space = Space(x=Float(0, 1), idle=Float(0, 1))
    made = random_study(space, lambda c: (c["x"] - 0.4) ** 2, 60)
    assert re.search(r"Fix what made hardly any difference.*: idle = 0\.", steps(made))
    assert "the best 10 trials are: x from 0.26 to 0.57" in steps(made)


def test_many_failures_and_where_they_are() -> None:
    made, rng = study(Space(x=Float(0, 1), y=Float(0, 1))), np.random.default_rng(0)
    for _ in range(50):
        config = made.spec.space.sample(rng)
        if config["x"] > 0.8:
            fail(made, config)
        else:
            complete(made, config, config["y"])
    said = steps(made)
    assert re.search(
        r"\d+ of 50 trials raised an error\. All \d+ with x >= 0\.\d+ did, none of the \d+ others\.",
        said,
    )


def test_reports_without_a_scheduler() -> None:
    made, rng = study(), np.random.default_rng(0)
    for _ in range(12):
        config = SPACE.sample(rng)
        complete(made, config, loss(config), reports=(4.0, 3.0, 2.0, 1.0, 0.5))
    assert "a scheduler (asha, say) stops the hopeless ones early" in steps(made)
    assert "scheduler" not in steps(mixed_study())


def test_a_confirmed_winner() -> None:
    made, rng = study(confirm=2, trials=30), np.random.default_rng(0)
    for _ in range(12):
        config = SPACE.sample(rng)
        complete(made, config, loss(config))
    ranked = TrialArrays(made).ranked
    for k in range(6):
        parent = int(ranked[k % 2])
        number, config = made.size, made.config(parent)
        at = 10.0 * number
        origin = Origin(CONFIRM, f"trial {parent} again")
        made.apply(events.Enqueued(at, number, config, origin, parent=parent))
        made.apply(events.Started(at, number, 0, "s"))
        value = loss(config) + (5.0 if parent == ranked[0] else 0.01 * k)
        made.apply(
            events.Finished(
                at + 1, number, 0, State.COMPLETED, (value,), {"loss": value}, None, Cost()
            )
        )
    trials = TrialArrays(made)
    assert trials.best == int(ranked[1])
    text = read(made).text
    assert "when run again, on average" in text
    assert f"The winner, trial {ranked[1]}:" in text
    assert f"Behind it, trial {ranked[0]}:" in text
    assert "the best of them with a probability of 100 %" in text
    assert "confirm=3" not in text


@pytest.mark.parametrize(
    ("value", "other", "sign", "said"),
    [
        (0.9, 0.6, -1.0, "the best is 0.3 better, 50 % more"),
        (0.5, 2.0, 1.0, "the best is 1.5 better, 75 % less"),
        (-1.0, 2.0, 1.0, "the best is 3 better"),
        (1.0, 1.0, 1.0, "the best is equal to it"),
        (3.0, 2.0, 1.0, "the best is 1 worse, 50 % more"),
    ],
)
def test_by_how_much(value: float, other: float, sign: float, said: str) -> None:
    assert findings.better(value, other, sign) == said


def test_kinds_of_failures_have_a_remedy() -> None:
    made = study()
    for _ in range(3):
        number = begin(made, SPACE.default())
        reason = Reason(Kind.OUT_OF_MEMORY, "more than 4 GiB")
        made.apply(events.Finished(10.0 * number + 2, number, 0, State.FAILED, None, {}, reason))
    said = steps(made)
    assert "3 of 3 trials ran out of memory. Raise the limit trial_memory" in said


def test_all_stopped_early() -> None:
    made, rng = study(scheduler=Strategy("asha", {"max": 9})), np.random.default_rng(0)
    for _ in range(8):
        stop(made, SPACE.sample(rng), (3.0, 2.0))
    page = read(made)
    assert page.headings[0] == "8 trials ran, and none to its end: all were stopped early."
    assert "Let some trials run to their end" in page.text
    assert "circles are the last reports of stopped ones" in page.text


def test_what_is_not_finite_is_left_out() -> None:
    made, rng = study(), np.random.default_rng(0)
    for k in range(14):
        config = SPACE.sample(rng)
        odd = (math.nan, math.inf, -math.inf, 2.0)[k % 4]
        complete(made, config, math.inf if k == 3 else loss(config), reports=(odd, 3.0, 2.0))
    html = report(made)
    for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        assert not re.search(r"\b(nan|inf)\b", drawing)
    assert not re.search(r"\b(NaN|Infinity)\b", html.split('id="tips">')[1].split("</script>")[0])


def test_long_names_break_and_stay_apart() -> None:
    names = [f"encoder.layer_{k}.attention.self.query.weight_decay_multiplier" for k in range(2)]
    html = report(random_study(Space({n: Float(0, 1) for n in names}), lambda c: c[names[0]], 12))
    assert "encoder.<wbr>layer_0.<wbr>attention" in html
    labels = re.findall(r'text-anchor="end">([^<]*…[^<]*)<', html)
    assert labels
    assert all(len(label) <= 60 for label in labels)
    assert names[0] in Page(html).text


def test_many_parameters_are_shown_in_part() -> None:
    space = Space({f"p{k:02d}": Float(0, 1) for k in range(40)})
    text = read(random_study(space, lambda c: c["p00"] - c["p07"], 60)).text
    assert "Of the parameters that these use, the 12 that explain most are shown." in text
    assert "Of 40 parameters 14 are shown: those that the best use, and matter most." in text


def test_limits_are_shown_as_people_write_them() -> None:
    made = study(trial_time=120, trial_memory=2**31)
    text = read(made).text
    assert "limit trial_time 2 min 0 s" in text
    assert "limit trial_memory 2.0 GiB" in text


def test_it_says_which_trials_ran_which_version_of_the_program(tmp_path: Path) -> None:
    import tunesmith as ts

    options: dict[str, Any] = {"storage": tmp_path / "s.db", "name": "s", "progress": False}
    ts.tune(lambda c: c["x"], {"x": ts.Float(0, 1)}, trials=2, searcher="random", **options)
    changed = ts.tune(
        lambda c: 100 * c["x"], {"x": ts.Float(0, 1)}, trials=3, searcher="random", **options
    )
    text = report(changed.ledger)
    assert "version 1: trials 0 and 1" in text
    assert "version 2: trial 2" in text
    once = ts.tune(lambda c: c["x"], {"x": ts.Float(0, 1)}, trials=1, progress=False)
    assert "version 1" not in report(once.ledger)
