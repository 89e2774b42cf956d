"""Figures for papers, with the real Matplotlib."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

pytest.importorskip("matplotlib", reason="runs in the environment 'libraries' (tools/check)")


def objective(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
    loss = (math.log10(config["lr"]) + 2) ** 2 + config["n"] / 10
    for step in range(4):
        trial.report(step, **{"loss <b>$x$": loss + 1 / (step + 1)})
    return {"loss <b>$x$": loss, "seconds": float(config["n"])}


SPACE = ts.Space(
    lr=ts.Float(1e-4, 1e-1, log=True), n=ts.Int(1, 5), kind=ts.Choice("a", "$b", "c_%")
)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    one = ts.tune(objective, SPACE, metric="loss <b>$x$", trials=16, seed=1, progress=False).figures
    both = ["loss <b>$x$", "seconds"]
    two = ts.tune(objective, SPACE, metric=both, trials=16, seed=1, progress=False).figures
    return {
        "best": one.best(),
        "time": one.best("time"),
        "curves": one.curves(),
        "importance": one.importance(),
        "parallel": one.parallel(),
        "slice": one.slice("lr"),
        "choices": one.slice("kind"),
        "contour": one.contour("lr", "n"),
        "cost": one.cost(),
        "front": two.front(),
        "objectives": two.objectives(),
        "attainment": two.attainment(),
        "hypervolume": two.hypervolume(),
    }


def test_every_figure_is_saved(figures: dict[str, Any], tmp_path: Path) -> None:
    for name, figure in figures.items():
        path = figure.save(tmp_path / f"{name}.pdf")
        assert path.read_bytes().startswith(b"%PDF"), name
    assert len(list(tmp_path.iterdir())) == len(figures)


def test_what_is_in_it(figures: dict[str, Any], tmp_path: Path) -> None:
    text = figures["curves"].save(tmp_path / "curves.svg", width_in=3.3).read_text()
    assert "loss &lt;b&gt;$x$" in text, "a name is a text, and no tag or formula"
    assert "step" in text
    assert 'width="237.6pt"' in text


def test_other_files_are_refused(figures: dict[str, Any], tmp_path: Path) -> None:
    for name in ("curves.docx", "curves"):
        with pytest.raises(ts.TunesmithError, match=r"a figure is saved as .*pdf.*write_html"):
            figures["curves"].save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib(
    figures: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ts.TunesmithError, match=r"pip install 'tunesmith\[paper\]'"):
        figures["curves"].save(tmp_path / "curves.pdf")
