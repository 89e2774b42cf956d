"""Values reach programs in the words that they read: as flags, lists, overrides, spelled booleans."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

import click
import pytest
from tests.run.test_template import fill, shell_line

from tunesmith.core.errors import JobError
from tunesmith.run.arguments import arguments, hydra_of, word_of
from tunesmith.run.template import Template

CONFIG: dict[str, Any] = {
    "x": -5.05e-05,
    "layers": [64, 32],
    "amp": True,
    "fused": False,
    "clip": None,
    "name": "-dashed",
}


class TestNegativeNumbers:
    @pytest.mark.parametrize(
        ("value", "word"),
        [
            (-5.05e-05, "-0.0000505"),
            (-1e22, "-10000000000000000000000.0"),
            (-1.5e-300, f"-0.{'0' * 299}15"),
            (-0.25, "-0.25"),
            (-3, "-3"),
            (5e-05, "5e-05"),
            ("-5e-05", "-5e-05"),
        ],
    )
    def test_have_no_exponent_as_words_of_their_own(self, value: Any, word: str) -> None:
        assert word_of(value) == word
        if not isinstance(value, str):
            assert float(word) == value
        assert fill("prog --x {x}", {"x": value}) == ["prog", "--x", word]
        assert fill("prog {x:each}", {"x": [value, value]}) == ["prog", word, word]
        assert shell_line("prog --x {x}", {"x": value}) == f"prog --x {word}"

    def test_keep_it_inside_words(self) -> None:
        assert fill("prog --x={x}", {"x": -5e-05}) == ["prog", "--x=-5e-05"]

    @pytest.mark.parametrize("command", ["{args}", "--x {x}", "--x={x}", "{args:argparse}"])
    def test_are_read_by_argparse(self, command: str) -> None:
        parser = argparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("--x", type=float)
        read = parser.parse_args(fill(f"prog {command}", {"x": -5.05e-05})[1:])
        assert read.x == -5.05e-05

    def test_of_lists_are_read_by_argparse(self) -> None:
        parser = argparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("--x", type=float, nargs="+")
        words = fill("prog {args:argparse}", {"x": [-1e-7, 2.0]})
        assert parser.parse_args(words[1:]).x == [-1e-7, 2.0]


class TestStyles:
    def test_plain(self) -> None:
        """As ever, but for null, which is nothing."""
        words = ["--x", "-0.0000505", "--layers", "[64, 32]", "--amp", "true", "--fused", "false"]
        assert arguments(CONFIG) == [*words, "--name", "-dashed"]

    def test_argparse(self) -> None:
        parser = argparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("--x", type=float)
        parser.add_argument("--layers", type=int, nargs="+")
        for flag in ("--amp", "--fused"):
            parser.add_argument(flag, action="store_true")
        parser.add_argument("--clip", type=float)
        parser.add_argument("--name")
        read = parser.parse_args(fill("prog {args:argparse}", CONFIG)[1:])
        assert vars(read) == CONFIG

    def test_click(self) -> None:
        read: dict[str, Any] = {}

        @click.command()
        @click.option("--x", type=float)
        @click.option("--layers", type=int, multiple=True)
        @click.option("--amp/--no-amp", default=False)
        @click.option("--fused/--no-fused", default=True)
        @click.option("--clip", type=float)
        @click.option("--batch-size", type=int)
        @click.option("--name")
        def program(**values: Any) -> None:
            read.update(values)

        config = {**CONFIG, "batch_size": 8}
        program(fill("prog {args:click}", config)[1:], standalone_mode=False)
        assert read == {**config, "layers": (64, 32)}

    @pytest.mark.parametrize(
        ("value", "word"),
        [
            (1e-05, "1e-05"),
            (-3, "-3"),
            (True, "true"),
            (None, "null"),
            ("adam", "adam"),
            ("a/b.c-d", "a/b.c-d"),
            ("true", "'true'"),
            ("Null", "'Null'"),
            ("1e-3", "'1e-3'"),
            ("", "''"),
            ("it's", r"'it\'s'"),
            ("end\\", r"'end\\'"),
            ("a\\b", r"'a\b'"),
            ("a, b=c", "'a, b=c'"),
            ([64, [None, "x y"]], "[64,[null,'x y']]"),
            ({"a": [True]}, "{a:[true]}"),
        ],
    )
    def test_hydra(self, value: Any, word: str) -> None:
        """Each was read back by hydra-core 1.3.8 as the same value of the same type."""
        assert hydra_of(value) == word
        assert fill("prog {args:hydra}", {"model.lr": value}) == ["prog", f"model.lr={word}"]
        assert fill("prog +model.lr={x:hydra}", {"x": value}) == ["prog", f"+model.lr={word}"]

    def test_leave_out_what_the_command_names_elsewhere(self) -> None:
        command = "prog {amp:--amp|--no-amp} {args:argparse}"
        assert fill(command, {"amp": False, "k": 1}) == ["prog", "--no-amp", "--k", "1"]
        assert fill("prog {k} {args}", {"k": 1}) == ["prog", "1", "--k", "1"], "as ever"

    def test_in_a_shell(self) -> None:
        line = shell_line("prog {args:hydra} | cat", {"a.b": "it's"})
        assert line == "prog 'a.b='\"'\"'it\\'\"'\"'s'\"'\"'' | cat"

    def test_that_there_are_not(self) -> None:
        with pytest.raises(
            JobError, match=r"unknown style; there are {args} .*{args:argparse}, {args:click}"
        ):
            Template.of("prog {args:argparser}").check(["x"], [])


class TestForms:
    def test_each(self) -> None:
        config = {"layers": [64, 32], "one": 5, "none": None, "empty": []}
        assert fill("prog --layers {layers:each}", config) == ["prog", "--layers", "64", "32"]
        assert fill("prog -l={layers:each}", config) == ["prog", "-l=64", "-l=32"]
        assert fill("prog {one:each} {none:each} {empty:each} x", config) == ["prog", "5", "x"]
        assert shell_line("prog {layers:each}; x", config) == "prog 64 32; x"

    def test_joined(self) -> None:
        config = {"layers": [64, 32], "one": 5}
        assert fill("prog --l={layers:,} {one:,} {layers:x}", config) == [
            *("prog", "--l=64,32", "5", "64x32")
        ]

    @pytest.mark.parametrize(
        ("command", "true", "false"),
        [
            ("prog {amp:--amp|}", ["--amp"], []),
            ("prog {amp:--amp|--no-amp}", ["--amp"], ["--no-amp"]),
            ("prog --amp {amp:True|False}", ["--amp", "True"], ["--amp", "False"]),
            ("prog --amp={amp:1|0}", ["--amp=1"], ["--amp=0"]),
            ("prog --amp={amp:1|}", ["--amp=1"], ["--amp="]),
            ("prog [--level 3 {amp:--amp|}]", ["--level", "3", "--amp"], ["--level", "3"]),
        ],
    )
    def test_truth(self, command: str, true: list[str], false: list[str]) -> None:
        for value, words in ((True, true), (False, false)):
            assert fill(command, {"amp": value}) == ["prog", *words]
            line = shell_line(f"{command} | cat", {"amp": value})
            assert shlex.split(line) == ["prog", *words, "|", "cat"]

    @pytest.mark.parametrize("form", [".3f", "yes", "a|b|c", "words"])
    def test_that_there_are_not(self, form: str) -> None:
        with pytest.raises(JobError, match=r"unknown form; there are {x:each}"):
            Template.of(["prog", f"{{x:{form}}}"]).check(["x"], [])

    def test_of_built_in_placeholders(self) -> None:
        with pytest.raises(JobError, match=r"{seed:each}: {seed} has no forms"):
            Template.of("prog {seed:each}").check(["x"], [])

    def test_many_words_in_one_of_a_shell(self) -> None:
        with pytest.raises(JobError, match="put blanks around it"):
            Template.of("prog -l={x:each}", shell=True).check(["x"], [])


class TestNull:
    def test_leaves_out_what_is_in_brackets(self) -> None:
        for of in (fill, lambda c, v: shell_line(c, v).split()):
            assert of("prog [--clip {clip}] x", {"clip": None}) == ["prog", "x"]
            assert of("prog [--clip {clip}] x", {"clip": 1}) == ["prog", "--clip", "1", "x"]


class TestBracketsInAShell:
    @pytest.mark.parametrize(
        ("command", "all_active", "none_active"),
        [
            ("prog [--b={b}] | cat", "prog --b=5 | cat", "prog  | cat"),
            ("prog [--b {b} -x];y", "prog --b 5 -x;y", "prog ;y"),
            ("$(prog [--b {b}])", "$(prog --b 5)", "$(prog )"),
            ("[--b={b}] prog [{b}]", "--b=5 prog 5", " prog "),
            ("prog [--b 'a ] b' {b}]", "prog --b 'a ] b' 5", "prog "),
            # the shell's own, and the program's own
            ("[ {b} = 5 ] && prog", "[ 5 = 5 ] && prog", "[ '' = 5 ] && prog"),
            ("[[ -n {b} ]] && prog", "[[ -n 5 ]] && prog", "[[ -n '' ]] && prog"),
            ("ls [a-z]* {b}", "ls [a-z]* 5", "ls [a-z]* ''"),
            ("ls 'x [y' {b}]", "ls 'x [y' 5]", "ls 'x [y' '']"),
            ("prog [[{b}]", "prog [5]", "prog ['']"),
        ],
    )
    def test_are_left_out_or_not(self, command: str, all_active: str, none_active: str) -> None:
        Template.of(command, shell=True).check(["b"], ["b"])
        assert shell_line(command, {"b": 5}) == all_active
        assert shell_line(command, {}) == none_active

    @pytest.mark.parametrize("shell", [False, True])
    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("prog [--b {b}", "the bracket before '--b' is never closed"),
            ("prog [--a {a} [--b {b}]]", "write them one after the other"),
        ],
    )
    def test_that_would_reach_the_program(self, command: str, words: str, shell: bool) -> None:
        with pytest.raises(JobError) as caught:
            Template.of(command, shell=shell)
        assert words in str(caught.value)

    def test_that_are_never_opened(self) -> None:
        with pytest.raises(JobError, match="is never opened"):
            Template.of("prog --crop [1,2] --b {b}]")


def test_a_line_to_copy_keeps_what_is_not_known() -> None:
    template = Template.of("python train.py --lr={lr} -o {trial_dir}/x {config_file:base.yaml}")
    line = "python train.py --lr=0.5 -o '{trial_dir}/x' '{config_file:base.yaml}'"
    assert template.shown({"lr": 0.5}) == line
    known = {"trial_dir": "/t", "{config_file:base.yaml}": "/t/c"}
    assert template.shown({"lr": 0.5}, known) == "python train.py --lr=0.5 -o /t/x /t/c"
