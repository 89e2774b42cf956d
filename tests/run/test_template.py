"""Values go into a command line whole: never split, expanded or run, whatever they contain."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import JobError
from tunesmith.core.text import text_of
from tunesmith.run.arguments import arguments
from tunesmith.run.template import Template

#: Values that a careless command line would split, expand or run.
NASTY = [
    "",
    " ",
    "two words",
    " edges ",
    "it's",
    'say "hi"',
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "&& touch pwned",
    "| touch pwned",
    "> pwned",
    "$HOME",
    "*",
    "~",
    "\\",
    "\\n",
    "line\nline",
    "tab\ttab",
    "naïve ☃ 模型",
    "-rf",
    "--help",
    "--",
    "{x}",
    "{{x}}",
    "[x]",
    "[[",
    "%s",
    "#no comment",
    "!!",
]

#: What can be handed to a program at all: no NUL, no lone surrogates.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def fill(command: str | list[str], config: dict[str, Any], **built_in: Any) -> list[str]:
    words = Template.of(command).fill(config, built_in)
    assert isinstance(words, list)
    return words


def shell_line(command: str, config: dict[str, Any], **built_in: Any) -> str:
    line = Template.of(command, shell=True).fill(config, built_in)
    assert isinstance(line, str)
    return line


class TestValues:
    @pytest.mark.parametrize("value", NASTY)
    def test_reach_a_program_as_they_are(self, tmp_path: Path, value: str) -> None:
        words = fill("printf '%s|%s' {x} --as={x}", {"x": value})
        out = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert out.stdout == f"{value}|--as={value}"
        assert list(tmp_path.iterdir()) == [], "something was run"

    @pytest.mark.parametrize("value", NASTY)
    def test_reach_a_program_as_they_are_through_a_shell(self, tmp_path: Path, value: str) -> None:
        line = shell_line("printf '%s|%s' {x} --as={x} | cat", {"x": value})
        out = subprocess.run(
            ["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert out.stdout == f"{value}|--as={value}"
        assert list(tmp_path.iterdir()) == [], "something was run"

    @pytest.mark.parametrize("quotes", ["'", '"'])
    def test_are_not_run_inside_quotes_of_the_users(self, tmp_path: Path, quotes: str) -> None:
        """``shell: true`` promises quoted values "whatever they hold"; refusing is fine, too."""
        command = f"printf %s {quotes}{{x}}{quotes}"
        try:
            template = Template.of(command, shell=True)
            template.check(["x"], [])
            line = template.fill({"x": "$(touch pwned)"}, {})
        except JobError:
            return
        assert isinstance(line, str)
        subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, check=False)
        assert list(tmp_path.iterdir()) == [], "the value was run"

    @given(TEXTS)
    def test_stay_one_word(self, value: str) -> None:
        assert fill("prog {x} -y", {"x": value}) == ["prog", value, "-y"]
        assert shlex.split(shell_line("prog {x} -y", {"x": value})) == ["prog", value, "-y"]

    @given(TEXTS)
    def test_are_not_read_as_templates(self, value: str) -> None:
        filled = fill("prog {x} {y}", {"x": value, "y": "{x}"})
        assert filled == ["prog", value, "{x}"]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("adam", "adam"),
            (1e-5, "1e-05"),
            (0.1, "0.1"),
            (64, "64"),
            (True, "true"),
            (None, "null"),
            ([24, 24], "[24, 24]"),
            ({"a": 1}, '{"a": 1}'),
        ],
    )
    def test_are_text_or_json(self, value: Any, text: str) -> None:
        assert text_of(value) == text
        assert fill("prog {x}", {"x": value}) == ["prog", text]
        if not isinstance(value, str):
            assert json.loads(text) == value


class TestWords:
    def test_are_split_as_a_shell_would(self) -> None:
        assert fill("""python "my train.py" 'a b' c\\ d""", {}) == [
            "python",
            "my train.py",
            "a b",
            "c d",
        ]

    def test_of_a_list_stay_as_they_are(self) -> None:
        words = ["python", "my train.py", "--lr={lr}", "a  'b"]
        assert fill(words, {"lr": 0.5}) == ["python", "my train.py", "--lr=0.5", "a  'b"]

    def test_may_hold_several_placeholders(self) -> None:
        assert fill("prog {x}x{y}", {"x": 2, "y": 3}) == ["prog", "2x3"]

    def test_the_same_placeholder_twice(self) -> None:
        assert fill("prog {x} {x}", {"x": 2}) == ["prog", "2", "2"]

    def test_doubled_braces_are_braces(self) -> None:
        assert fill("prog {{x}} {{{x}}}", {"x": 2}) == ["prog", "{x}", "{2}"]
        assert shell_line("awk '{{print $1}}' {x}", {"x": 2}) == "awk '{print $1}' 2"

    def test_dotted_names(self) -> None:
        assert fill("prog {model.depth}", {"model.depth": 3}) == ["prog", "3"]

    def test_built_in_names(self) -> None:
        built_in = {"trial": 7, "seed": 99, "trial_dir": "/tmp/a b"}
        assert fill("prog {trial} {seed} {trial_dir}", {}, **built_in) == [
            "prog",
            "7",
            "99",
            "/tmp/a b",
        ]

    def test_a_parameter_hides_the_built_in_of_its_name(self) -> None:
        assert fill("prog {seed}", {"seed": 1}, seed=99) == ["prog", "1"]

    def test_program_and_names(self) -> None:
        template = Template.of("python train.py {x} [--m {m}] {{no}}")
        assert template.program == "python"
        assert template.names() == {"x", "m"}


class TestArgs:
    def test_are_all_active_parameters_in_order(self) -> None:
        config = {"lr": 0.5, "name": "a b", "crop": [1, 2]}
        assert arguments(config) == ["--lr", "0.5", "--name", "a b", "--crop", "[1, 2]"]
        assert fill("prog {args} -v", config) == ["prog", *arguments(config), "-v"]

    def test_of_an_empty_config_are_nothing(self) -> None:
        assert fill("prog {args} -v", {}) == ["prog", "-v"]

    def test_are_quoted_for_a_shell(self) -> None:
        line = shell_line("prog {args} | tee log", {"name": "$(rm -rf x)", "k": 1})
        assert line == "prog --name '$(rm -rf x)' --k 1 | tee log"

    def test_may_be_optional(self) -> None:
        assert fill("prog [-- {args}]", {"k": 1}) == ["prog", "--", "--k", "1"]

    def test_inside_a_word_are_refused(self) -> None:
        """Several words do not fit into one."""
        with pytest.raises(JobError, match="args"):
            Template.of("prog --all={args}").check(["x"], [])


class TestOptionalGroups:
    COMMAND = "prog --lr {lr} [--momentum {momentum}] [--nesterov --decay={decay} -x] end"

    def test_stay_if_all_of_their_parameters_are_active(self) -> None:
        config = {"lr": 1, "momentum": 2, "decay": 3}
        assert fill(self.COMMAND, config) == [
            *("prog", "--lr", "1", "--momentum", "2", "--nesterov", "--decay=3", "-x", "end")
        ]

    def test_go_if_one_is_inactive(self) -> None:
        assert fill(self.COMMAND, {"lr": 1}) == ["prog", "--lr", "1", "end"]
        assert fill(self.COMMAND, {"lr": 1, "decay": 3}) == [
            *("prog", "--lr", "1", "--nesterov", "--decay=3", "-x", "end")
        ]
        assert fill("prog [{a} {b}]", {"a": 1}) == ["prog"]

    def test_as_single_words(self) -> None:
        assert fill("prog [--m={m}] [{n}]", {"m": 1}) == ["prog", "--m=1"]
        assert fill("prog [ --m {m} ]", {"m": 1}) == ["prog", "--m", "1"]

    def test_in_a_list_of_words(self) -> None:
        words = ["prog", "[--name", "{name}]"]
        assert fill(words, {"name": "a b"}) == ["prog", "--name", "a b"]
        assert fill(words, {}) == ["prog"]

    def test_keep_values_that_end_with_a_bracket(self) -> None:
        assert fill("prog [--m {m}]", {"m": "x]"}) == ["prog", "--m", "x]"]

    def test_brackets_without_placeholders_are_the_programs_own(self) -> None:
        assert fill("prog [1,2] [ -f x ] {y}", {"y": 3}) == [
            *("prog", "[1,2]", "[", "-f", "x", "]", "3")
        ]

    def test_a_doubled_bracket_is_a_bracket(self) -> None:
        assert fill("prog [[{x}]", {"x": 3}) == ["prog", "[3]"]

    def test_an_inactive_parameter_is_empty_in_a_shell(self) -> None:
        assert shell_line("prog {x} {m}", {"x": 1}) == "prog 1 ''"


class TestErrors:
    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("", "it is empty; write e.g. python train.py"),
            ("   ", "it is empty"),
            ([], "it is empty"),
            ("prog 'open", "No closing quotation"),
            ("prog [--m {m}", "the bracket before '--m' is never closed"),
        ],
    )
    def test_when_it_is_read(self, command: str | list[str], words: str) -> None:
        with pytest.raises(JobError, match=r"^command: ") as caught:
            Template.of(command)
        assert words in str(caught.value)

    @pytest.mark.parametrize("command", [["a", "b"], "", "  "])
    def test_a_shell_takes_one_line(self, command: str | list[str]) -> None:
        with pytest.raises(JobError, match="with shell: true it is one line of text"):
            Template.of(command, shell=True)

    @pytest.mark.parametrize("shell", [False, True])
    @pytest.mark.parametrize(("command", "brace"), [("prog {x", "{"), ("prog x}", "}")])
    def test_single_braces(self, command: str, brace: str, shell: bool) -> None:
        template = Template.of(command, shell=shell)
        with pytest.raises(JobError, match=f"a single '{brace}' in .*; write '{brace}{brace}'"):
            template.check(["x"], [])

    @pytest.mark.parametrize("shell", [False, True])
    def test_a_typo_in_a_placeholder(self, shell: bool) -> None:
        template = Template.of("prog {learning_rat}", shell=shell)
        with pytest.raises(JobError, match="did you mean 'learning_rate'"):
            template.check(["learning_rate"], [])

    def test_another_programs_braces(self) -> None:
        template = Template.of("awk {print}")
        with pytest.raises(JobError, match=r"{print} is no parameter.*write {{ and }} for braces"):
            template.check(["x"], [])

    def test_a_conditional_parameter_outside_brackets(self) -> None:
        template = Template.of("prog --m {m}")
        with pytest.raises(JobError) as caught:
            template.check(["m"], ["m"])
        assert str(caught.value) == (
            "command: m is not always active; put what depends on it in brackets: [--m {m}]"
        )
        Template.of("prog [--m {m}]").check(["m"], ["m"])
        Template.of("prog --m {m}", shell=True).check(["m"], ["m"])

    def test_built_in_names_are_known(self) -> None:
        command = "prog {trial} {attempt} {seed} {trial_dir} {checkpoint_dir} {config_file} {args}"
        Template.of(command).check([], [])
