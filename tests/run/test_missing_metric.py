"""What is said of a metric that never came: the line that has it under another spelling, and the pattern for it."""

from __future__ import annotations

import pytest

from tunesmith.run.missing_metric import no_metric
from tunesmith.run.output import Scanner, compile_metrics


def message(printed: str, metric: str = "loss", **texts: str) -> str:
    patterns = compile_metrics(texts)
    scanner = Scanner(frozenset([metric]), patterns)
    assert not list(scanner.feed(printed.encode(), last=True))
    return no_metric([metric], scanner, Scanner(frozenset()), {}, [], patterns, printed)


@pytest.mark.parametrize(
    ("printed", "remedy"),
    [
        ("Loss=0.5", "{loss: 'Loss={number}'}"),
        ('INFO: {"loss": 0.5}', """{loss: '"loss":{number}'}"""),
        ('{"eval": {"loss": 0.5}}', """{loss: '"loss":{number}'}"""),
        ("{'loss': 0.5}", """{loss: "'loss':{number}"}"""),
        ("loss 0.5", "{loss: 'loss {number}'}"),
    ],
)
def test_another_spelling_is_shown_with_the_pattern_that_reads_it(
    printed: str, remedy: str
) -> None:
    text = message(printed)
    assert text.endswith(f"write metrics: {remedy}")
    pattern = remedy.removeprefix("{loss: ")[1:-2]
    scanner = Scanner(frozenset(["loss"]), compile_metrics({"loss": pattern}))
    assert [r.metrics["loss"] for r in scanner.feed(printed.encode(), last=True)] == [0.5]


def test_a_pattern_that_never_matched_says_so_beside_it() -> None:
    text = message("Val Loss = 0.5", "val_loss", val_loss="val_loss={number}")
    assert "never matched: val_loss={number}" in text
    assert "write metrics: {val_loss: 'Val Loss ={number}'}" in text


def test_json_lines_without_it_are_shown_by_their_names() -> None:
    assert "its JSON lines have 'los', 'epoch'" in message('{"los": 1, "epoch": 2}')


def test_a_pattern_for_another_name_is_named() -> None:
    assert "metrics: names 'losss'" in message("hello", losss="losss={number}")


def test_a_longer_name_is_another_one() -> None:
    assert "so write" not in message("val_loss=0.5 glossary 3")
