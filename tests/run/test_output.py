"""Metrics are found in whatever a program prints, however it arrives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import JobError
from tunesmith.run import output, pattern
from tunesmith.run.output import ScannedReport, Scanner, compile_metrics

LOSS = {"loss": r"loss=([-+.\w]+)"}
STEPPED = {"step": r"epoch (\d+)", **LOSS}


def scan(
    output: str | bytes | Iterable[bytes],
    patterns: dict[str, str] | None = None,
    wanted: Sequence[str] = ("loss",),
    **options: Any,
) -> list[ScannedReport]:
    """All reports of a program that printed this (in these chunks) and ended."""
    compiled = compile_metrics(patterns or {})
    scanner = Scanner(frozenset(wanted) | compiled.keys(), compiled, **options)
    if isinstance(output, str):
        output = output.encode()
    found: list[ScannedReport] = []
    for chunk in [output] if isinstance(output, bytes) else output:
        found += scanner.feed(chunk)
    return [*found, *scanner.feed(b"", last=True)]


class TestPatterns:
    def test_find_a_number_in_a_line(self) -> None:
        assert scan("training ...\nloss=0.25, done\n", LOSS) == [(1, {"loss": 0.25})]

    @pytest.mark.parametrize("text", ["1", "-1.5", "+2e-3", "1E5", ".5"])
    def test_read_numbers_of_all_kinds(self, text: str) -> None:
        assert scan(f"loss={text}\n", LOSS) == [(1, {"loss": float(text)})]

    @pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf"])
    def test_what_is_not_finite_is_reported_as_none(self, text: str) -> None:
        assert scan(f"loss={text}\n", LOSS) == [(1, {"loss": None})]

    def test_what_is_no_number_is_no_report(self) -> None:
        assert scan("loss=none\nloss=1.2.3\nloss=1e\n", LOSS) == []

    def test_a_group_that_took_no_part_is_no_report(self) -> None:
        assert scan("loss\n", {"loss": r"loss(=\d+)?"}) == []

    def test_several_metrics_in_a_line_are_one_report(self) -> None:
        patterns = {**LOSS, "accuracy": r"acc=(\S+)"}
        assert scan("loss=1 acc=0.5\n", patterns) == [(1, {"loss": 1.0, "accuracy": 0.5})]

    def test_metrics_on_lines_of_their_own(self) -> None:
        patterns = {**LOSS, "accuracy": r"acc=(\S+)"}
        assert scan("loss=1\nacc=0.5\n", patterns) == [(1, {"loss": 1.0}), (1, {"accuracy": 0.5})]

    def test_match_anywhere_and_the_last_counts(self) -> None:
        assert scan("[info] loss=2 loss=3\n", LOSS) == [(1, {"loss": 3.0})]

    @pytest.mark.parametrize(
        "line", ["val_loss=2 loss=3", "loss=3 val_loss=2", "loss=3 val/loss=2"]
    )
    def test_match_within_a_longer_name_only_where_nothing_else_does(self, line: str) -> None:
        assert scan(f"{line}\n", LOSS) == [(1, {"loss": 3.0})]
        assert scan("val_loss=2\n", LOSS) == [(1, {"loss": 2.0})]

    def test_see_no_line_breaks(self) -> None:
        assert scan("first\nloss=3\n", {"loss": r"^loss=(\d)$"}) == [(1, {"loss": 3.0})]


#: Two ways to write the same pattern: as the documentation does, and as its earlier versions did.
BOTH = pytest.mark.parametrize("pattern", ["loss={number}", "loss=([0-9.]+)"])


@BOTH
class TestWholeNumbers:
    @pytest.mark.parametrize(
        "text",
        ["7.5e-05", "7.5E+05", "-0.5", "+0.5", "12", "1e3", ".5", "3.", "1_000", "-1.5e-3"],
    )
    def test_are_what_was_printed(self, pattern: str, text: str) -> None:
        for line in (f"loss={text}", f"loss={text}, done", f"a loss={text} b", f"loss={text};"):
            assert scan(f"{line}\n", {"loss": pattern}) == [(1, {"loss": float(text)})], line

    @pytest.mark.parametrize(
        ("text", "number"),
        [("1.5D-03", 1.5e-3), ("\N{MINUS SIGN}0.5", -0.5), ("0.93.", 0.93), ("0.93 %", 0.93)],
    )
    def test_of_other_writers(self, pattern: str, text: str, number: float) -> None:
        assert scan(f"loss={text}\n", {"loss": pattern}) == [(1, {"loss": number})]

    @pytest.mark.parametrize(
        "text",
        [
            "nan",
            "NaN",
            "-nan",
            "nan(0x8000000000000000)",
            "-nan(ind)",
            "1.#QNAN",
            "inf",
            "-Infinity",
            "None",
            "null",
            "N/A",
            "*******",
            "1,234.5",
            "0,5",
            "1.234,5",
            "1\u202f234",
            "1,234e+03",
            "-",
            "---",
            "\u2014",
            "?",
            "#NUM!",
            "#DIV/0!",
            "error",
            "FAILED",
            "diverged",
            "---, lr=0.1",
            "error; stopped",
        ],
    )
    def test_what_is_none_does_not_leave_the_one_before(self, pattern: str, text: str) -> None:
        assert scan(f"loss=0.5\nloss={text}\n", {"loss": pattern})[-1] == (2, {"loss": None})
        assert scan(f"loss=0.5\nloss={text}\nloss=0.25\n", {"loss": pattern})[-1] == (
            3,
            {"loss": 0.25},
        )

    @pytest.mark.parametrize("text", ["mse", "None", "1,234.5", "", "information"])
    def test_before_the_first_there_may_be_anything(self, pattern: str, text: str) -> None:
        assert scan(f"loss={text}\nloss=0.5\n", {"loss": pattern}) == [(1, {"loss": 0.5})]

    def test_a_word_after_one_is_no_value(self, pattern: str) -> None:
        for text in ("mse", "- computed on", "error rates are", "--flag", "?x"):
            assert scan(f"loss=0.5\nloss={text}\n", {"loss": pattern}) == [(1, {"loss": 0.5})]


class TestKinds:
    @pytest.mark.parametrize(
        ("text", "line", "number"),
        [
            ("loss: {number}", "loss:     0.5", 0.5),
            ("loss={number}", "loss=   0.5", 0.5),
            ("val loss {number}", "val  loss \t0.5", 0.5),
            ("loss (mean): {number} [s]", "loss (mean): 0.5 [s]", 0.5),
            ("took {number}ms", "took 12ms", 12.0),
            ("acc {number}%", "acc 93.1%", 93.1),
            ("{any},{any},{number}", "3,0.25,0.5", 0.5),
            ("{number},{any}", "0.5,0.25", 0.5),
            ("loss={number:,}", "loss=1,234.5", 1234.5),
            ("loss={number:,}", "loss=-12,345,678", -12345678.0),
            ("loss={number:,}", "loss=0.5", 0.5),
            ("epoch {int}/", "epoch 3/10", 3.0),
            ("{{loss}}={number}", "{loss}=0.5", 0.5),
            ("{number} seconds", "v1.2: 0.5 seconds", 0.5),
        ],
    )
    def test_are_found_in_text(self, text: str, line: str, number: float) -> None:
        assert scan(f"{line}\n", {"loss": text}) == [(1, {"loss": number})]

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("loss={number}", "val_loss=0.5"),
            ("loss={number}", "val/loss=0.5"),
            ("loss={number}", "loss=12ms"),
            ("loss={number}", "loss=0x1F"),
            ("loss={number}", "loss=2024-01-02"),
            ("loss={number}", "loss=1:30:00"),
            ("loss={number}", "loss=1.2.3"),
            ("loss={number:,}", "loss=1,23"),
            ("loss={int}", "loss=0.5"),
            ("loss {number}", "loss2 0.5"),
        ],
    )
    def test_take_nothing_else(self, text: str, line: str) -> None:
        assert scan(f"{line}\n", {"loss": text}) == []

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("loss={float}", r"there is no {float}"),
            ("loss={numbr}", r"there is no {numbr}; did you mean 'number'"),
            ("a={number} b={number}", r"has 2 numbers; exactly one of {number}, {int}, {number:,}"),
            ("a={any}", r"has no numbers"),
            (r"loss=\s*{number}", r"plain text because of {number}, and \\s would have to"),
            ("(?:a|b)={number}", r"\(\? would have to be printed"),
        ],
    )
    def test_mistakes(self, text: str, message: str) -> None:
        with pytest.raises(JobError, match=f"metrics: loss: .*{message}"):
            compile_metrics({"loss": text})


class TestRegularExpressions:
    @pytest.mark.parametrize(
        ("text", "line", "number"),
        [
            (r"loss=([0-9.]+).*", "loss=7.5e-05 lr=1", 7.5e-5),
            (r"loss=([0-9]+)", "loss=12.75", 12.75),
            (r"loss=-?([0-9.]+)", "loss=-0.5", -0.5),
            (r"epoch-(\d+)", "epoch-3", 3.0),
            (r"([0-9]+)", "it is 12.5", 12.5),
            (r"took ([0-9.]+)", "took 7.5e-05s", 7.5e-5),
            (r"took ([0-9.]+)s", "took 12.5s", 12.5),
            (r"(\d+)\.\d+", "epoch 3.50", 3.0),
            (r"^(\d+),", "3,5", 3.0),
            (r"^\d+,([0-9.]+)", "3,0.5,0.7", 0.5),
            (r"loss=(\s*[0-9.]+)", "loss=  1e-3", 1e-3),
            (r"loss=(.*)", "loss=0.5 acc=1", 0.5),
            (r"[)(]loss=([0-9.]+)", "(loss=1e-3", 1e-3),
            (r"(?P<k>loss|cost)=(?P<value>[0-9.]+)", "cost=1e-3", 1e-3),
            (r"(?<v>x)?loss=(?<value>[^)]+)", "loss=1e-3)", 1e-3),
            (r"(?x) loss = ([0-9.]+)  # ( the loss", "loss=1e-3", 1e-3),
        ],
    )
    def test_take_the_whole_number(self, text: str, line: str, number: float) -> None:
        assert scan(f"{line}\n", {"loss": text}) == [(1, {"loss": number})]

    @pytest.mark.parametrize("line", ["loss=0x1F", "loss=1,234.5", "loss=1.2.3"])
    def test_that_stop_inside_something_else_find_none(self, line: str) -> None:
        assert scan(f"{line}\n", {"loss": "loss=([0-9]+)"}) == []


class TestJsonLines:
    def test_are_reports(self) -> None:
        assert scan('{"loss": 0.5, "step": 3}\n') == [(3, {"loss": 0.5})]

    def test_bring_other_numbers_along(self) -> None:
        line = {"loss": 1, "lr": 0.1, "name": "x", "ok": True, "none": None, "list": [1]}
        assert scan(json.dumps(line) + "\n") == [(1, {"loss": 1.0, "lr": 0.1})]

    def test_without_a_wanted_metric_are_no_reports(self) -> None:
        assert scan('{"lr": 0.1}\n[1, 2]\n"loss"\n3\n{"loss": "0.5"}\n{}\n') == []

    @pytest.mark.parametrize("value", ["null", '"NaN"', '"inf"', '"1,234.5"'])
    def test_null_and_texts_do_not_leave_the_number_before(self, value: str) -> None:
        """Many writers (JavaScript, Rust, pandas) make null of what is not finite."""
        assert scan(f'{{"loss": 0.5}}\n{{"loss": {value}}}\n')[-1] == (2, {"loss": None})

    def test_null_before_the_first_number_is_nothing(self) -> None:
        assert scan('{"loss": null, "lr": 1}\n{"loss": 0.5}\n') == [(1, {"loss": 0.5})]

    def test_of_a_file_of_metrics_all_count(self) -> None:
        assert scan('{"lr": 0.1, "step": 2}\n', wanted=(), any_json=True) == [(2, {"lr": 0.1})]

    def test_may_be_indented_but_not_broken(self) -> None:
        assert scan('  {"loss": 1}  \n{"loss": 1\n{"loss": 1}}\n{loss: 1}\n') == [(1, {"loss": 1})]

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_what_is_not_finite_is_none(self, text: str) -> None:
        assert scan(f'{{"loss": {text}}}\n') == [(1, {"loss": None})]

    def test_deeply_nested_json_does_no_harm(self) -> None:
        deep = '{"loss": ' + "[" * 30_000 + "]" * 30_000 + "}"
        assert scan(f'{deep}\n{{"loss": 1}}\n') == [(1, {"loss": 1.0})]

    @pytest.mark.parametrize("digits", [400, 5000])
    def test_an_integer_beyond_all_floats_does_no_harm(self, digits: int) -> None:
        """It is no finite number; what comes after is seen."""
        found = scan(f'{{"loss": 1{"0" * digits}}}\n{{"loss": 2}}\n')
        assert found[-1].metrics == {"loss": 2.0}

    def test_and_a_pattern_at_once(self) -> None:
        assert scan('{"loss": 1, "acc": 2}\n', {"top5": r'"acc": (\d)'}) == [
            (1, {"loss": 1.0, "acc": 2.0, "top5": 2.0})
        ]


class TestMoreJsonLines:
    @pytest.mark.parametrize(
        "line", ['{"val": {"loss": 0.5}}', '{"val.loss": 0.5}', '\ufeff{"val.loss": 0.5}\0']
    )
    def test_names_with_dots_are_nested_or_not(self, line: str) -> None:
        assert scan(line, wanted=("val.loss",)) == [(1, {"val.loss": 0.5})]

    def test_what_is_nested_and_no_number_is_nothing(self) -> None:
        for line in ('{"val": 3}', '{"val": {"loss": {}}}', '{"val": [{"loss": 1}]}'):
            assert scan(line, wanted=("val.loss",)) == []


@pytest.mark.parametrize("text", ["--", "---", "—", "??", "<NA>", "nil"])
@pytest.mark.parametrize("pattern", ["loss={number}", "loss=([0-9.]+)"])
def test_other_words_for_none(pattern: str, text: str) -> None:
    assert scan(f"loss=0.5\nloss={text}", {"loss": pattern})[-1].metrics == {"loss": None}
    assert scan(f"loss={text}\nloss=0.5", {"loss": pattern})[-1].metrics == {"loss": 0.5}
    if text != "<NA>":
        assert len(scan(f"loss=0.5\nloss={text}x", {"loss": pattern})) == 1


def test_nul_bytes_are_not_seen_in_a_terminal_either() -> None:
    assert scan("loss=\0000.5", {"loss": "loss={number}"}) == [(1, {"loss": 0.5})]
    assert scan("loss=0.5\n".encode("utf-16-le"), {"loss": "loss={number}"}) == [(1, {"loss": 0.5})]


class TestSteps:
    def test_are_counted_where_nobody_says_them(self) -> None:
        assert [f.step for f in scan("loss=3\nloss=2\nloss=1\n", LOSS)] == [1, 2, 3]

    def test_are_counted_for_each_metric(self) -> None:
        patterns = {**LOSS, "accuracy": r"acc=(\S+)"}
        output = "loss=3\nacc=1\nloss=2\nacc=2\n"
        assert [f.step for f in scan(output, patterns)] == [1, 1, 2, 2]

    def test_come_from_the_pattern_called_step(self) -> None:
        assert scan("epoch 5 loss=1\nepoch 10 loss=2\n", STEPPED) == [
            (5, {"loss": 1.0}),
            (10, {"loss": 2.0}),
        ]

    def test_may_stand_on_the_line_before(self) -> None:
        assert scan("epoch 5\n...\nloss=1\nloss=2\nepoch 6\nloss=3\n", STEPPED) == [
            (5, {"loss": 1.0}),
            (5, {"loss": 2.0}),
            (6, {"loss": 3.0}),
        ]

    def test_alone_are_no_report(self) -> None:
        assert scan("epoch 5\nepoch 6\n", STEPPED) == []

    def test_in_json(self) -> None:
        assert scan('{"step": 4, "loss": 1}\n{"loss": 2}\n') == [(4, {"loss": 1}), (4, {"loss": 2})]

    def test_that_are_no_numbers_are_ignored(self) -> None:
        output = '{"step": "x", "loss": 1}\n{"step": NaN, "loss": 1}\n{"step": true, "loss": 1}\n'
        assert [f.step for f in scan(output)] == [1, 2, 3]

    @pytest.mark.parametrize("step", ["1e300", "-1e300", str(2**63), "1" + "0" * 40])
    def test_beyond_64_bits_do_no_harm(self, step: str) -> None:
        """Steps are kept as 64-bit numbers: one that does not fit must not get as far as that."""
        found = scan(f'{{"step": {step}, "loss": 1}}\n')
        assert all(-(2**63) <= f.step < 2**63 for f in found), found


class TestLines:
    def test_the_last_one_needs_no_line_break(self) -> None:
        assert scan("loss=3\nloss=2", LOSS) == [(1, {"loss": 3.0}), (2, {"loss": 2.0})]

    def test_an_unfinished_one_waits(self) -> None:
        scanner = Scanner(frozenset({"loss"}), compile_metrics(LOSS))
        assert list(scanner.feed(b"loss=1")) == []
        assert list(scanner.feed(b"5")) == []
        assert list(scanner.feed(b"\n")) == [(1, {"loss": 15.0})]

    def test_progress_bars_are_lines(self) -> None:
        output = "10% loss=3\r50% loss=2\r100% loss=1\n"
        assert [f.metrics["loss"] for f in scan(output, LOSS)] == [3.0, 2.0, 1.0]

    def test_windows_line_ends(self) -> None:
        assert scan("loss=3\r\nloss=2\r\n", LOSS) == [(1, {"loss": 3.0}), (2, {"loss": 2.0})]

    def test_colours_are_passed_over(self) -> None:
        coloured = '\x1b[1mloss=\x1b[32m0.5\x1b[0m\n\x1b[32m{"loss": 0.25}\x1b[0m\n'
        assert scan(coloured, LOSS) == [(1, {"loss": 0.5}), (2, {"loss": 0.25})]

    @pytest.mark.parametrize(
        "line",
        [
            "loss=0.\x1b[1;31m5\x1b[m",
            "\x1b]0;title\x07loss=0.5\x1b]8;;http://x/y\x1b\\ link\x1b]8;;\x1b\\",
            "\x1b(B\x1b[?25lloss=0.5\x1b[K\x1b7",
            "loss=0.9\x1b[1Gloss=0.5\x1b[3Cdone",
            "loss=12.25\b\b\b\b\b0.5   \b\b\b",
            "\b\b\b1/2 loss=0.9" + "\b" * 20 + "2/2 loss=0.5",
        ],
    )
    def test_are_read_as_a_terminal_shows_them(self, line: str) -> None:
        assert scan(f"{line}\n", {"loss": "loss={number}"}) == [(1, {"loss": 0.5})]
        assert scan(f"{line}\n", {"loss": "loss=([0-9.]+)"}) == [(1, {"loss": 0.5})]

    def test_bytes_that_are_no_text(self) -> None:
        output = b"\xff\xfe\x00 loss=3\n\x80\x81\n\xf0\x28\x8c\x28 loss=2 \xc3\n"
        assert [f.metrics["loss"] for f in scan(output, LOSS)] == [3.0, 2.0]

    def test_text_cut_inside_a_character(self) -> None:
        line = "naïve ☃ loss=3\n".encode()
        for cut in range(len(line)):
            assert scan([line[:cut], line[cut:]], LOSS) == [(1, {"loss": 3.0})]

    def test_a_long_one_is_read_whole(self) -> None:
        early = "loss=3 " + "x" * (1 << 20) + "\n"
        late = "x" * (1 << 20) + " loss=3\n"
        json = '{"history": [' + "0, " * 40_000 + '0], "loss": 3}\n'
        for line in (early, late, json):
            assert scan(line, LOSS) == [(1, {"loss": 3.0})]

    def test_a_huge_one_takes_little_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its beginning and its end are read."""
        monkeypatch.setattr(output, "_LINE_BYTES", 1 << 16)
        scanner = Scanner(frozenset({"loss"}), compile_metrics(LOSS))
        for _ in range(64):
            assert list(scanner.feed(b"x" * (1 << 14))) == []
            assert len(scanner._rest) <= 1 << 17
        assert list(scanner.feed(b" loss=2\nloss=1\n")) == [(1, {"loss": 2.0}), (2, {"loss": 1.0})]


LINES = st.sampled_from(
    [
        b"",
        b"epoch 3",
        b"epoch 7 loss=0.5",
        b"loss=1e-3 acc=0.25",
        b'{"loss": 0.125, "step": 9}',
        b'{"loss": NaN}',
        b'{"loss": 1',
        "naïve ☃ loss=2".encode(),
        b"\xff\xfe loss=4",
        b"loss=7" + b"x" * 70_000,
        b"x" * 70_000 + b" loss=8",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@st.composite
def outputs(draw: st.DrawFn) -> bytes:
    output = b"".join(line + end for line, end in draw(st.lists(st.tuples(LINES, ENDS))))
    return output + draw(LINES)


@settings(deadline=None)
@given(outputs(), st.data())
def test_chunk_boundaries_make_no_difference(output: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=9)))
    chunks = [output[a:b] for a, b in zip([0, *cuts], [*cuts, len(output)], strict=True)]
    patterns = {**STEPPED, "accuracy": r"acc=(\S+)"}
    assert scan(chunks, patterns) == scan(output, patterns)


@settings(deadline=None)
@given(outputs())
def test_bytes_one_by_one_make_no_difference(output: bytes) -> None:
    short = output[:300]
    assert scan([short[i : i + 1] for i in range(len(short))], STEPPED) == scan(short, STEPPED)


PATTERNS = [
    {"loss": "loss={number}", "acc": "acc={number}"},
    {"loss": r"^naïve \S+ loss=(\d)", "step": "epoch {int}"},
    {"loss": r"los?s=(\S+)", "acc": r"(?:ac)+c=(\S+)"},
    {"loss": r"(?i)LOSS=(\S+)"},
]


@given(outputs(), st.sampled_from(PATTERNS))
def test_passing_over_lines_makes_no_difference(output: bytes, patterns: dict[str, str]) -> None:
    """What is looked for before a line is searched only saves time."""
    compiled = compile_metrics(patterns)
    searching = Scanner(
        frozenset(compiled), {m: replace(p, literal="") for m, p in compiled.items()}
    )
    expected = [*searching.feed(output, last=True)]
    scanner = Scanner(frozenset(compiled), compiled)
    assert [*scanner.feed(output, last=True)] == expected
    assert scanner.lines == searching.lines


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("val_loss={number}", "val_loss="),
        ("{number} is the loss of {any} validation", "validation"),
        ("{{{number}", "{"),
        (r"val_loss=([0-9.]+)", "val_loss="),
        (r"^loss: ?(\S+)", "loss:"),
        (r"x\.y=(\d+)", "x.y="),
        (r"loss+ (\d)", "los"),
        (r"loss{e<=1}=(\d)", "los"),
        (r"loss* (\d)", "los"),
        (r"(?:abc)?d(\d)", ""),
        (r"(?i)loss (\d+)", ""),
        (r"loss(?i: x) (\d+)", ""),
        (r"(?x) loss = (\d+)", ""),
        (r"loss=(\d+)|acc", ""),
        (r"(?:val|test) loss=(\S+)", ""),
        (r"(?<=loss=)(\S+)", ""),
        (r"(\S+) loss", ""),
    ],
)
def test_what_every_match_has(text: str, literal: str) -> None:
    assert compile_metrics({"loss": text})["loss"].literal == literal


@given(st.binary(max_size=2000))
def test_any_bytes_do_no_harm(output: bytes) -> None:
    for found in scan(output, STEPPED):
        assert all(value is None or math.isfinite(value) for value in found.metrics.values())


class TestSlowPatterns:
    @pytest.mark.parametrize(
        "line", ["a" * 50 + "b", "a" * 5_000 + "b"], ids=["short line", "long line"]
    )
    def test_are_given_up(self, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
        monkeypatch.setattr(pattern, "SEARCH_S", 0.05)
        slow = {"loss": "(?:a|aa)+$()", "acc": "acc=([0-9.]+)"}
        scanner = Scanner(frozenset(slow), compile_metrics(slow))
        read = list(scanner.feed(f"{line}\n{line} acc=0.5\n".encode()))
        assert read == [(1, {"acc": 0.5})], "the others are searched for"
        assert list(scanner.given_up) == ["loss"]
        assert "the pattern of 'loss' took more than 0.05 s" in scanner.given_up["loss"]

    def test_lookbehind_and_references_are_understood(self) -> None:
        patterns = {
            "loss": r"(?<=loss )(?P<value>[0-9.]+)(?! %)",
            "acc": r"(?P<q>['\"])(?P<value>.*?)(?P=q)",
        }
        assert scan("loss 0.5 '0.75'\n", patterns) == [(1, {"loss": 0.5, "acc": 0.75})]


class TestCompile:
    def test_a_pattern_needs_one_group(self) -> None:
        for text, groups in (("loss=[0-9]+", 0), ("(l)oss=([0-9]+)", 2)):
            with pytest.raises(
                JobError, match=f"'loss' has {groups} groups; write it as text with"
            ):
                compile_metrics({"loss": text})

    def test_a_pattern_that_is_none(self) -> None:
        with pytest.raises(
            JobError, match=r"the pattern of 'acc' is no regular expression: unterm"
        ):
            compile_metrics({"loss": "(.)", "acc": "(["})

    def test_other_groups_do_not_count_if_they_do_not_capture(self) -> None:
        assert scan("train_loss=3\n", {"loss": r"(?:train|val)_loss=(\d)"}) == [(1, {"loss": 3.0})]

    def test_a_group_called_value_is_the_one(self) -> None:
        """As the docstring of `compile_metrics` has it."""
        patterns = {"loss": r"(train|val)_loss=(?P<value>\d)"}
        assert scan("train_loss=3\n", patterns) == [(1, {"loss": 3.0})]
