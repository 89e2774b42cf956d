"""Job files: what they may say, and what is said about mistakes in them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests.tuning.jobs import JOB, write_job

import tunesmith as ts
from tunesmith.core.errors import JobError, StudyError
from tunesmith.run.usage import warnings
from tunesmith.tuning.job import load_job, run_job


def test_a_small_one(tmp_path: Path) -> None:
    job = load_job(write_job(tmp_path))
    assert job.spec.name == "small"
    assert job.spec.space == ts.Space(x=ts.Float(0, 1))
    assert job.spec.limits == ts.Limits(trials=4)
    assert job.spec.seed == 1
    assert job.program.cwd == tmp_path


def test_it_runs_and_resumes(tmp_path: Path) -> None:
    path = write_job(tmp_path, storage="study.db")
    result = run_job(load_job(path))
    assert len(result.trials) == 4
    assert result.best.value == min(t.value for t in result.trials if t.value is not None)
    assert (tmp_path / "study.trials/small/000003/output.log").read_text().startswith("loss=")
    more = run_job(load_job(write_job(tmp_path, storage="study.db", limits={"trials": 6})))
    assert len(more.trials) == 6
    assert [t.config for t in more.trials[:4]] == [t.config for t in result.trials]


def test_every_key_reaches_its_place(tmp_path: Path) -> None:
    path = write_job(
        tmp_path,
        name="all",
        command="echo {x} [{m}]",
        shell=True,
        objective=[{"metric": "loss"}, {"metric": "accuracy", "goal": "maximize"}],
        metrics={"loss": "l=(.*)", "accuracy": "a=(.*)"},
        space={
            "x": {"float": [1e-5, 1], "log": True, "default": 0.1},
            "c": {"choice": ["a", "b"]},
            "m": {"int": [1, 9], "when": {"c": "a"}},
            "fixed": 7,
            "require": ["m <= 8"],
        },
        limits={
            "trials": 10,
            "time": "2h",
            "trial_time": "10m",
            "trial_memory": "4GiB",
            "parallel": 2,
            "cost": 5,
            "price_per_hour": 2.5,
        },
        searcher={"grid": {"levels": 3}},
        enqueue=[{"x": 0.5, "c": "b"}, {}],
        deterministic=True,
        duplicates=True,
        cwd="..",
        environment={"A": "b"},
        gpus_per_trial=0.5,
        storage="here.db",
        durability="power",
    )
    job = load_job(path)
    spec = job.spec
    assert [(o.metric, o.goal) for o in spec.objectives] == [
        ("loss", "minimize"),
        ("accuracy", "maximize"),
    ]
    assert spec.limits.trial_time == 600
    assert spec.limits.trial_memory == 4 << 30
    assert (spec.limits.cost, spec.limits.price_per_hour) == (5, 2.5)
    assert spec.searcher.to_dict() == {"grid": {"levels": 3}}
    assert spec.deterministic
    assert spec.duplicates
    assert job.storage == tmp_path / "here.db"
    assert job.durability == "power"
    assert job.program.shell
    assert job.program.environment == {"A": "b"}
    assert job.program.cwd.resolve() == tmp_path.parent.resolve()
    assert spec.space["x"] == ts.Float(1e-5, 1, log=True, default=0.1)
    assert [r.text for r in spec.space.relations] == ["m <= 8"]


def test_a_value_that_no_program_can_be_given(tmp_path: Path) -> None:
    for parameter in ({"choice": ["a\0b", "c"]}, {"value": "a\0b"}):
        path = write_job(tmp_path, space={"x": {"float": [0, 1]}, "c": parameter})
        with pytest.raises(ts.JobError, match=r"c: 'a.x00b' has a NUL character"):
            load_job(path)


def test_json_is_yaml(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(JOB))
    assert load_job(path).spec.name == "small"


def test_without_a_name_it_is_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my job (2)"
    folder.mkdir()
    assert load_job(write_job(folder, name=None)).spec.name == "my-job-2"


def test_overrides_come_on_top(tmp_path: Path) -> None:
    overrides = {"trials": 9, "name": "other", "seed": 5, "storage": "x.db", "time": None}
    job = load_job(write_job(tmp_path), overrides)
    assert (job.spec.limits.trials, job.spec.name, job.spec.seed) == (9, "other", 5)
    assert job.storage == Path("x.db")


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "a key": (
        {"sercher": "grid"},
        r"job\.yaml:\d+: there is no 'sercher' in a job file; did you mean 'searcher'",
    ),
    "a key of the objective": (
        {"objective": {"metric": "loss", "gaol": "minimize"}},
        r":\d+: there is no 'gaol'.*did you mean 'goal'",
    ),
    "a goal": (
        {"objective": {"metric": "loss", "goal": "max"}},
        r"'minimize' or 'maximize', not 'max'",
    ),
    "no command": ({"command": None}, r":1: 'command' is missing"),
    "a placeholder": ({"command": "prog {y}"}, r":2: command: \{y\} is no parameter"),
    "a conditional placeholder": (
        {
            "command": "prog {m}",
            "space": {"c": {"choice": ["a", "b"]}, "m": {"int": [1, 2], "when": {"c": "a"}}},
        },
        r":2: command: m is not always active; put what depends on it in brackets: \[--m \{m\}\]",
    ),
    "an unclosed quote": ({"command": "prog 'x"}, r":2: command: No closing quotation"),
    "an empty command": ({"command": ""}, r":2: command: it is empty; write e\.g\."),
    "a pattern": ({"metrics": {"loss": "(["}}, r"metrics: the pattern of 'loss' is no regular"),
    "an empty range": ({"space": {"x": {"float": [1, 0]}}}, r":\d+: x: .*1.*0"),
    "a kind": ({"space": {"x": {"flaot": [0, 1]}}}, r"x: .*did you mean 'float'"),
    "a parent": (
        {
            "space": {
                "x": {"float": [0, 1], "when": {"optimizr": "a"}},
                "optimizer": {"choice": ["a", "b"]},
            }
        },
        r"optimizr.*did you mean 'optimizer'",
    ),
    "a limit": (
        {"limits": {"trails": 3}},
        r"limits: .*'trails'; did you mean 'trials'|no 'trails'",
    ),
    "a duration": ({"limits": {"time": "5 parsecs"}}, r"time: '5 parsecs' is no duration"),
    "no trials": ({"limits": {"trials": 0}}, r"trials is a whole number of at least 1"),
    "a cost without a price": ({"limits": {"cost": 3}}, r"a cost limit needs price_per_hour"),
    "a searcher": ({"searcher": "rendom"}, r"'rendom'.*did you mean 'random'"),
    "a queued config": ({"enqueue": [{"x": 0.5}, {"x": 7}]}, r":\d+: .*x .*7"),
    "a queued parameter": ({"enqueue": [{"z": 1}]}, r"z is no parameter"),
    "a metric called step": ({"objective": {"metric": "step"}}, r"cannot be called 'step'"),
    "two of the same metric": ({"objective": [{"metric": "a"}, {"metric": "a"}]}, r"twice: a, a"),
    "a type": ({"seed": "many"}, r":\d+: seed: .*not 'many'"),
    "a relation": ({"space": {"x": {"float": [0, 1]}, "require": ["x < yy"]}}, r"yy"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake(tmp_path: Path, what: str) -> None:
    changes, words = MISTAKES[what]
    with pytest.raises(ts.JobError, match=words) as raised:
        load_job(write_job(tmp_path, **changes))
    assert str(raised.value).startswith(str(tmp_path / "job.yaml")), "and says where"


def test_several_mistakes_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(ts.JobError) as raised:
        load_job(write_job(tmp_path, sercher="grid", seed="many", command=None))
    assert len(str(raised.value).splitlines()) == 3


def test_the_line_is_that_of_the_mistake(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(
        "command: prog {x}\nobjective: {metric: loss}\nspace:\n  x: {float: [0, 1]}\n  y:\n"
        "    float: [2, 1]\n"
    )
    with pytest.raises(ts.JobError, match=r"job\.yaml:5: y"):
        load_job(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "1: a job file is a mapping"),
        ("- 1\n- 2\n", "1: a job file is a mapping"),
        ("a: [1\nb: 2\n", r":\d: this is no YAML"),
        ("\x00", "this is no YAML"),
    ],
)
def test_no_job_at_all(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(ts.JobError, match=words):
        load_job(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(
        ts.JobError, match=r"there is no job file .*; `tunesmith init .*` writes one"
    ):
        load_job(tmp_path / "jb.yaml")
    with pytest.raises(ts.JobError, match="is a folder; name the job file in it"):
        load_job(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ts.JobError, match=r"pipe\.yaml is no regular file"):
        load_job(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_text("# " + "x" * 2**20)
    with pytest.raises(ts.JobError, match=r"large\.yaml has .*, and a job file at most"):
        load_job(tmp_path / "large.yaml")
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(ts.JobError, match="cannot be read") as refused:
            load_job(name)
        assert len(str(refused.value)) <= 1000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe\x00\x80", "bytes.yaml:1: the byte 0xff is no UTF-8"),
        ("a: 1\nb: caf\xe9\n".encode("latin-1"), "bytes.yaml:2: the byte 0xe9 is no UTF-8; save"),
        ("a: 1".encode("utf-16"), "bytes.yaml:1: the byte 0xff is no UTF-8"),
    ],
)
def test_bytes_that_are_no_text(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "bytes.yaml").write_bytes(data)
    with pytest.raises(ts.JobError, match=words):
        load_job(tmp_path / "bytes.yaml")


def test_a_byte_order_mark_is_no_part_of_a_job(tmp_path: Path) -> None:
    path = write_job(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_job(path).spec.name == "small"


MULTIPLYING = "[&a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], " + ", ".join(
    f"&{b} [{', '.join(['*' + a] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ("&a [1, *a]", "*a is a part of itself"),
        ("[" * 20_000 + "]" * 20_000, "more than 100 lists and mappings"),
        ("[1, " * 200 + "]" * 200, "more than 100 lists and mappings"),
        ("9" * 5_000, "a number of 5,000 digits"),
        ("0x" + "f" * 5_000, "a number of 5,002 digits"),
        (f"{MULTIPLYING}]", "its aliases stand for more than 100,000 values"),
        ("2001-99-99", "'2001-99-99': month must be in 1..12"),
        ("!!int abc", "'abc': invalid literal"),
        ("!!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("[1, 2", "expected ',' or ']'"),
        ("*nowhere", "found undefined alias"),
        ("[1]\n  x: {int: [1, 2]}", 'found duplicate key "x"'),
        ("[1]\n\t y: 1", r"found character '\t'"),
        ("a\0b", "unacceptable character"),
    ],
)
def test_texts_that_are_not_meant_well(tmp_path: Path, choices: str, words: str) -> None:
    path = write_job(tmp_path, space=None)
    before = path.read_text().count("\n")
    with path.open("a") as file:
        file.write(f"space:\n  x: {choices}\n")
    with pytest.raises(ts.JobError, match=re.escape(words)) as refused:
        load_job(path)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 500
    line = int(message.removeprefix(f"{path}:").partition(":")[0])
    assert before + 2 <= line <= before + 4


def test_the_lines_of_merged_and_shared_parts(tmp_path: Path) -> None:
    path = write_job(tmp_path, space=None)
    lines = path.read_text().count("\n")
    with path.open("a") as file:
        file.write("space:\n  x: &x {float: [0, 1]}\n  y:\n    <<: *x\n    step: -1\n")
    with pytest.raises(ts.JobError, match=rf"job\.yaml:{lines + 3}: y: .*step"):
        load_job(path)


def test_of_many_mistakes_some_are_shown(tmp_path: Path) -> None:
    path = write_job(tmp_path, **{f"wrong{k}": 1 for k in range(100)})
    with pytest.raises(ts.JobError, match="and 80 more") as refused:
        load_job(path)
    assert str(refused.value).count("\n") == 20


def test_long_values_are_shortened_in_messages(tmp_path: Path) -> None:
    for changes in (
        {"name": "x" * 10**5},
        {"seed": "y" * 10**5},
        {"space": {"x": {"float": ["z" * 10**5, 1]}}},
        {"space": {"x": {"choice": [1], "default": "z" * 10**5}}},
        {"searcher": "z" * 10**5},
        {"command": "a" * 10**5 + "{nothing}"},
        {"limits": {"z" * 10**5: 1}},
    ):
        with pytest.raises(ts.TunesmithError) as refused:
            load_job(write_job(tmp_path, **changes))
        assert len(str(refused.value)) < 2500, changes


def test_a_program_that_is_missing(tmp_path: Path) -> None:
    job = load_job(write_job(tmp_path, command="no-such-program {x}", storage="study.db"))
    with pytest.raises(ts.JobError, match="no-such-program"):
        run_job(job)
    assert not (tmp_path / "study.db").exists(), "nothing half-made stays"


def test_nothing_would_end_it(tmp_path: Path) -> None:
    job = load_job(write_job(tmp_path, limits=None, storage="study.db"))
    with pytest.raises(ts.StudyError, match="nothing would end this study"):
        run_job(job)


def test_another_objective_is_another_study(tmp_path: Path) -> None:
    run_job(load_job(write_job(tmp_path, storage="study.db")))
    other = {"metric": "loss", "goal": "maximize"}
    job = load_job(write_job(tmp_path, storage="study.db", objective=other))
    with pytest.raises(ts.StudyError, match=r"with other objectives .* choose another name"):
        run_job(job)


class TestPrograms:
    """What cannot run is said with the job file, the line and the remedy, before a study begins."""

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"command": "pyhton3 p.py {x}"}, "no program 'pyhton3' (looked in PATH); did you mean 'python3'?"),
            ({"command": "python3 progam.py {x}"}, "/progam.py; did you mean 'program.py'?"),
            ({"command": ["python3", "progam.py", "{x}"]}, "/progam.py; did you mean 'program.py'?"),
            ({"command": "python3 nowhere/x.py {x}"}, "there is no file "),
            ({"command": "./program.py {x}"}, "program.py is not executable; chmod +x it"),
            ({"command": "program.py {x}"}, "; write python program.py"),
            ({"command": "./ {x}"}, " is a folder; name the program in it"),
            ({"command": "bin/none {x}"}, "bin/none; paths are relative to cwd"),
            ({"command": "A=1 python3 program.py {x}"}, "under environment: {A: '1'}"),
            ({"command": "cd /tmp {x}"}, "cd is a word of the shell's: write shell: true"),
            ({"cwd": "nowhere"}, "cwd: there is no folder "),
            ({"cwd": "nowhere", "shell": True}, "cwd: there is no folder "),
        ],
    )  # fmt: skip
    def test_that_are_not_there(self, tmp_path: Path, changes: dict[str, Any], text: str) -> None:
        path = write_job(tmp_path, **{"shell": None, **changes})
        lines = path.read_text().splitlines()
        key = next(iter(changes))
        at = next(n for n, one in enumerate(lines, 1) if one.startswith(f"{key}:"))
        with pytest.raises(JobError) as error:
            run_job(load_job(path))
        assert str(error.value).startswith(f"{path}:{at}: {key}: ")
        assert text in str(error.value)
        assert not (tmp_path / "tunesmith.db").exists()

    def test_a_template_that_is_not_there(self, tmp_path: Path) -> None:
        path = write_job(tmp_path, command="python3 program.py {config_file:nowhere.yaml}")
        with pytest.raises(JobError, match=r"job\.yaml:2: command: the template .*nowhere\.yaml"):
            load_job(path)

    def test_a_metrics_file_that_all_trials_would_write(self, tmp_path: Path) -> None:
        metrics = {"loss": {"json": "loss.json"}}
        path = write_job(tmp_path, metrics=metrics, limits={"trials": 2, "parallel": 2})
        line = next(n for n, t in enumerate(path.read_text().splitlines(), 1) if "metrics:" in t)
        with pytest.raises(JobError, match=rf"job\.yaml:{line}: metrics: loss: .*trial_dir"):
            load_job(path)
        assert load_job(path, {"parallel": 1}).spec.limits.parallel == 1

    def test_a_program_that_is_a_parameter(self, tmp_path: Path) -> None:
        space = {"program": {"choice": ["echo", "printf", "no-such-thing"]}, "x": 1}
        limits = {"trials": 3}
        path = write_job(
            tmp_path, command="{program} loss={x}", space=space, limits=limits, searcher="grid"
        )
        result = run_job(load_job(path, {"storage": str(tmp_path / "s.db")}))
        states = {t.config["program"]: str(t.state) for t in result.trials}
        assert states == {"echo": "completed", "printf": "completed", "no-such-thing": "failed"}


class TestOnChange:
    def run(self, folder: Path, **changes: Any) -> str:
        path = write_job(folder, limits={"trials": 1}, **changes)
        return run_job(load_job(path, {"storage": str(folder / "s.db")})).spec.name

    def test_is_a_key_of_job_files(self, tmp_path: Path) -> None:
        assert self.run(tmp_path) == "small"
        changed = {"command": "python3 -S program.py  --x {x} changed"}
        with pytest.raises(StudyError, match="has changed since trial 0"):
            self.run(tmp_path, **changed, on_change="refuse")
        assert self.run(tmp_path, **changed, on_change="new") == "small-2"
        path = tmp_path / "job.yaml"
        job = load_job(path, {"storage": str(tmp_path / "s.db")})
        assert run_job(job, on_change="continue").spec.name == "small", "the call counts more"

    def test_mistakes(self, tmp_path: Path) -> None:
        with pytest.raises(JobError, match=r"on_change: .*'continue', 'refuse' or 'new'"):
            load_job(write_job(tmp_path, on_change="ask"))


def test_steps_of_a_file_by_themselves(tmp_path: Path) -> None:
    metrics = {
        "loss": {"csv": "{trial_dir}/log.csv"},
        "step": {"csv": "{trial_dir}/log.csv", "column": "epoch"},
    }
    text = "epoch,loss\\n5,1\\n10,0.5\\n"
    command = ["python3", "-S", "-c", f"open('{{trial_dir}}/log.csv', 'w').write('{text}') # {{x}}"]
    path = write_job(tmp_path, command=command, metrics=metrics, limits={"trials": 1})
    result = run_job(load_job(path, {"storage": str(tmp_path / "s.db")}))
    assert [(r.step, r.metrics["loss"]) for r in result.trials[0].reports] == [(5, 1), (10, 0.5)]
    for wrong in ({"csv": "other.csv"}, {"tensorboard": "runs"}, {"json": "{trial_dir}/log.csv"}):
        with pytest.raises(JobError, match="metrics: step: "):
            load_job(write_job(tmp_path, command=command, metrics={**metrics, "step": wrong}))


class TestEnvironment:
    @pytest.mark.parametrize("name", ["", "A=B", "A\0"])
    def test_names_that_cannot_be(self, tmp_path: Path, name: str) -> None:
        path = write_job(tmp_path, environment={name: "1"})
        at = next(n for n, t in enumerate(path.read_text().splitlines(), 1) if "environment:" in t)
        with pytest.raises(
            JobError, match=rf"job\.yaml:{at}: environment: .* cannot be a variable"
        ):
            load_job(path)

    def test_numbers_are_texts(self, tmp_path: Path) -> None:
        path = write_job(
            tmp_path, environment={"OMP_NUM_THREADS": 1}, command=["python3", "p.py", 5, "{x}"]
        )
        model = load_job(path).model
        assert model.environment == {"OMP_NUM_THREADS": "1"}
        assert model.command == ["python3", "p.py", "5", "{x}"]

    def test_truth_values_are_not(self, tmp_path: Path) -> None:
        with pytest.raises(
            JobError, match=r"environment\.A: true is a truth value here; write it in"
        ):
            load_job(write_job(tmp_path, environment={"A": True}))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"environment": {"PATH": "/opt/bin:$PATH"}}, "environment: PATH has $PATH, which the program gets as"),
        ({"environment": {"LOG": "{trial_dir}/log"}}, "environment: LOG has {trial_dir}, which the program"),
        ({"command": "python3 program.py --x {x} > log.txt"}, "'>' reaches the program as it stands"),
        ({"command": "python3 program.py --x {x} 2>&1 | tee log"}, "'2>&1' reaches the program as it stands"),
        ({"command": "python3 program.py {args} {args}"}, "{args} is in the command twice"),
    ],
)  # fmt: skip
def test_what_nobody_puts_in_is_said(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    job = load_job(write_job(tmp_path, **changes))
    assert any(warning.startswith(text) for warning in warnings(job.program, job.spec.space))


def test_what_is_meant_as_it_stands_is_not_said(tmp_path: Path) -> None:
    for command in (
        "python3 program.py --x {x} --greater '>=' a>b",
        ["awk", "{{print $1}}", "{x}", ">"],
    ):
        job = load_job(write_job(tmp_path, command=command, environment={"PRICE": "5$"}))
        assert list(warnings(job.program, job.spec.space)) == []


def test_many_words_are_no_part_of_one_for_a_shell_either(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"\{args\} is many words, and cannot be a part of one"):
        load_job(write_job(tmp_path, command="echo --all={args}", shell=True))
    load_job(write_job(tmp_path, command="echo {args}; echo [ {args} ]", shell=True))
