"""What can only be seen from a command and its space together is said, or refused, when a job is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.tuning.jobs import write_job

import tunesmith as ts
from tunesmith.core.errors import JobError
from tunesmith.run.usage import unused, warnings
from tunesmith.tuning.job import load_job, run_job

#: Prints what it was given, and where.
SHOW = """\
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "loss": 1.0}))
"""


def said(tmp_path: Path, command: str, space: dict[str, Any], **changes: Any) -> list[str]:
    job = load_job(write_job(tmp_path, command=command, space=space, **changes))
    return list(warnings(job.program, job.spec.space))


class TestEnvironment:
    @pytest.mark.parametrize("names", [("model.lr", "model_lr"), ("lr", "LR"), ("a.b_c", "a_b.c")])
    def test_two_parameters_in_one_variable(self, tmp_path: Path, names: tuple[str, str]) -> None:
        space = {name: {"float": [0, 1]} for name in names}
        with pytest.raises(JobError) as caught:
            load_job(write_job(tmp_path, command="python3 program.py {args}", space=space))
        variable = f"$TUNESMITH_PARAM_{names[1].upper().replace('.', '_')}"
        assert f"{names[0]} and {names[1]} would both be {variable}" in str(caught.value)

    def test_a_variable_of_the_jobs(self, tmp_path: Path) -> None:
        for variable, words in [
            ("TUNESMITH_PARAM_X", "has the value of the parameter x"),
            ("TUNESMITH_SEED", "is set for each trial by tunesmith"),
        ]:
            with pytest.raises(JobError, match=words):
                load_job(write_job(tmp_path, environment={variable: "1"}))

    def test_a_parameter_of_a_trial_around_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TUNESMITH_PARAM_OTHER", "of a trial that this one runs in")
        command = """sh -c 'echo loss=0.5${{TUNESMITH_PARAM_OTHER:+1}}' {x}"""
        path = write_job(tmp_path, command=command, limits={"trials": 1}, storage="s.db")
        assert run_job(load_job(path)).best.value == 0.5


SPACE: dict[str, Any] = {"x": {"float": [0, 1]}, "model.depth": {"int": [1, 3]}}


class TestUnused:
    @pytest.mark.parametrize(
        ("command", "names"),
        [
            ("python3 -S program.py --x {x}", ["model.depth"]),
            ("python3 -S program.py", ["x", "model.depth"]),
            ("python3 -S program.py {args}", []),
            ("python3 -S program.py {config_file:yaml}", []),
            ("python3 -S program.py --x {x} {config_file}", []),
            ("sh -c 'prog $TUNESMITH_PARAM_MODEL_DEPTH' {x}", []),
            ("python3 reads.py {x}", []),
        ],
    )
    def test_are_named(self, tmp_path: Path, command: str, names: list[str]) -> None:
        (tmp_path / "reads.py").write_text("import os; os.environ['TUNESMITH_CONFIG']")
        job = load_job(write_job(tmp_path, command=command, space=SPACE))
        assert unused(job.program, job.spec.space) == names

    def test_what_only_others_depend_on_is_used(self, tmp_path: Path) -> None:
        space = {"on": {"choice": [False, True]}, "x": {"float": [0, 1], "when": {"on": True}}}
        assert said(tmp_path, "prog [--x {x}]", space) == []

    def test_are_said_when_a_job_is_run(self, tmp_path: Path) -> None:
        job = load_job(write_job(tmp_path, space=SPACE, limits={"trials": 1}, storage="s.db"))
        messages: list[str] = []
        run_job(job, say=messages.append)
        assert [m for m in messages if m.startswith("model.depth is not in the command")]


class TestSpelling:
    @pytest.mark.parametrize(
        ("command", "values", "words"),
        [
            ("prog --v {v}", [True, False], "as the word true or false; {v:True|False} spells it"),
            ("prog --v {v}", [[1, 2], [3]], "as JSON in one word ([1, 2]); {v:each} is a word for"),
            ("prog --v {v}", [None, 1], "gets the word null for it; in brackets, [--v {v}]"),
            ("prog --v {v}", ["-a", "b"], "take for an option; write --v={v}"),
            ("prog {args}", [True, False], "as --v true; {args:argparse} or {args:click}"),
        ],
    )
    def test_that_a_program_may_not_expect(
        self, tmp_path: Path, command: str, values: list[Any], words: str
    ) -> None:
        (text,) = said(tmp_path, command, {"v": {"choice": values}})
        assert words in text

    @pytest.mark.parametrize(
        ("command", "values"),
        [
            ("prog {v:--v|}", [True, False]),
            ("prog --v {v:each}", [[1, 2], [3]]),
            ("prog [--v {v}]", [None, 1]),
            ("prog --v={v}", ["-a", "b"]),
            ("prog {args:argparse}", [True, False, [1], None]),
        ],
    )
    def test_that_is_right(self, tmp_path: Path, command: str, values: list[Any]) -> None:
        assert said(tmp_path, command, {"v": {"choice": values}}) == []

    def test_of_a_flat_config_file(self, tmp_path: Path) -> None:
        (text,) = said(tmp_path, "prog {config_file}", {"model.lr": {"float": [0, 1]}})
        assert "model.lr as one flat name; {config_file:yaml}" in text

    def test_of_a_truth_value_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(JobError, match=r"is for true and false, and x is something else"):
            load_job(write_job(tmp_path, command="prog {x:--x|}"))


class TestConfigFiles:
    def test_reach_the_program(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text("model: {lr: 0.1, kind: mlp}\n")
        program = "import sys; print('loss=0.5'); print(open(sys.argv[1]).read())"
        (tmp_path / "show.py").write_text(program)
        job = load_job(
            write_job(
                tmp_path,
                command="python3 -S show.py {config_file:base.yaml}",
                space={"model.lr": 1e-05},
                limits={"trials": 1},
                storage="s.db",
            )
        )
        run_job(job)
        folder = tmp_path / "s.trials" / "small" / "000000"
        assert (folder / "config" / "base.yaml").read_text() == "model: {lr: 1.0e-05, kind: mlp}\n"
        assert "lr: 1.0e-05, kind: mlp" in (folder / "output.log").read_text()
        assert json.loads((folder / "config.json").read_text()) == {"model.lr": 1e-05}
        with ts.Study.open(storage=tmp_path / "s.db") as study:
            assert study.command(0) == f"python3 -S show.py {folder / 'config' / 'base.yaml'}"

    def test_without_a_place_for_a_parameter(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text("model: {lr: 0.1}\n")
        changes: dict[str, Any] = {"space": {"model.rl": {"float": [0, 1]}}}
        with pytest.raises(JobError) as caught:
            load_job(write_job(tmp_path, command="prog {config_file:base.yaml}", **changes))
        assert "base.yaml has no model.rl; did you mean 'model.lr'?" in str(caught.value)
        assert "job.yaml:2: " in str(caught.value)
        for rest in ("{model.rl}", "{args}"):
            command = f"prog {{config_file:base.yaml}} {rest}"
            load_job(write_job(tmp_path, command=command, **changes))
