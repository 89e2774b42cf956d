"""The schema of job files: the documentation is generated from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tunesmith.tuning.versions import Changed, OnChange


class ObjectiveModel(BaseModel):
    """What counts."""

    model_config = ConfigDict(extra="forbid")

    metric: str = Field(description="The name of the metric.", examples=["accuracy"])
    goal: Literal["minimize", "maximize"] = Field(
        "minimize", description="Whether less or more of it is better."
    )
    use: str | dict[str, int] = Field(
        "last",
        description="How the reports of a trial become its value: `last`, `best` or `mean of last 10`.",
    )


class JobModel(BaseModel):
    """A job file. Only `command`, `objective` and `space` are needed."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    name: str | None = Field(
        None, description="The study's name; without one, the name of the job file's folder."
    )
    command: str | list[str] = Field(
        description="The program that runs one trial: a line, or a list of words. `{name}` stands for a "
        "parameter's value, `{args}` for `--name value` of all active ones, see [Values as "
        "words](#values-as-words); `{trial}`, `{seed}`, `{trial_dir}`, `{checkpoint_dir}`, `{config_file}` for the "
        "trial's own. Words in `[...]` are left out when a parameter in them is inactive or null. No shell reads it.",
        examples=["python train.py --lr {learning_rate} [--momentum {momentum}]"],
    )
    objective: ObjectiveModel | list[ObjectiveModel] = Field(
        description="The metric and its goal; a list for several objectives. `use` says how the reports of a trial "
        "become its value: `last` (the default), `best` or `mean of last 10`.",
        examples=["{metric: accuracy, goal: maximize}"],
    )
    constraints: list[str] = Field(
        default_factory=list,
        description="What a trial's results have to keep for it to be the best, over metrics and parameters.",
        examples=["[memory <= 4e9, latency < 20]"],
    )
    at_most: dict[str, float] = Field(
        default_factory=dict,
        description="Upper bounds of metrics, as constraints.",
        examples=["{seconds: 60}"],
    )
    at_least: dict[str, float] = Field(
        default_factory=dict,
        description="Lower bounds of metrics, as constraints.",
        examples=["{accuracy: 0.9}"],
    )
    prefer: str | dict[str, Any] | None = Field(
        None,
        description="Which trial of several objectives' front is the best: `{error: 0.01}` (the least error, or one at most "
        "0.01 worse; of those the best of the next objective), `{weights: {error: 1, seconds: 0.001}}` or "
        "`{at_most: {seconds: 60}}`.",
        examples=["{error: 0.01}"],
    )
    metrics: dict[str, str | dict[str, str]] = Field(
        default_factory=dict,
        description="How to find metrics in what the program prints: for each the text around it, with `{number}` or "
        "`{int}` where the value is (`{number:,}` for 1,234.5) and `{any}` for any text; or a regular expression with one group "
        "(or several, one of them called `value`). `step` finds the step. Not needed for programs that print "
        'JSON lines (`{"accuracy": 0.9, "step": 3}`) or call `tunesmith.report()`. A metric may stand in a file instead: `{json: FILE, key: a.b}`, `{csv: FILE, column: x, step: epoch}`, `{tensorboard: FOLDER, tag: x}`, `{mlflow: FOLDER, name: x}`. More in the guide to metrics.',
        examples=["{accuracy: 'val_acc={number}'}"],
    )
    space: dict[str, Any] = Field(
        description="The parameters, see [The space](#the-space); relations between them under "
        "`require`."
    )
    limits: dict[str, Any] = Field(
        default_factory=dict, description="What may be spent, see [Limits](#limits)."
    )
    searcher: str | dict[str, Any] = Field(
        "auto",
        description="Who proposes configs: `auto`, `bayes`, `tpe`, `cmaes`, `evolution`, `random`, `sobol`, "
        "`grid`, `gradient` (where trials report derivatives), or one with options.",
        examples=["{grid: {levels: 5}}"],
    )
    scheduler: str | dict[str, Any] | None = Field(
        None,
        description="Who stops or pauses trials: `asha`, `hyperband`, `freeze_thaw`, `pasha`, `forecast`, `racing`, "
        "`median`, `percentile`, `truncation`, `bandit`, `threshold`, `patience`, `pbt`, `pb2`, `scripted`, by name or with options.",
        examples=["{asha: {max: 50, min: 2}}"],
    )
    seed: int | None = Field(
        None, ge=0, description="Makes the study repeatable; drawn if missing."
    )
    enqueue: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Configs to run first; what one leaves out takes its default.",
        examples=["[{learning_rate: 0.01}]"],
    )
    warm_start: list[str | dict[str, str]] = Field(
        default_factory=list,
        description="Earlier studies to learn from: names in the same storage, or "
        "`{storage: file, study: name}`. Taken in when the study is new.",
        examples=["[digits-2024]"],
    )
    deterministic: bool = Field(
        False, description="The same trials on every run, however many run in parallel."
    )
    duplicates: bool = Field(False, description="Whether the same config may run twice.")
    tags: list[str] = Field(
        default_factory=list,
        description="Words by which people find the study. Going on, those that it lacks are added.",
        examples=["[vision, baseline]"],
    )
    on_change: OnChange = Field(
        "continue",
        description="What becomes of the study if the program has changed since trials ran: `continue` says so and goes "
        "on (see `changed`), `refuse` stops, `new` begins a study of its own (`NAME-2`). `--on-change` counts more.",
    )
    changed: Changed = Field(
        "discount",
        description="What becomes of the results so far if a study goes on with a changed program: `discount` takes them "
        "for an earlier study's, runs the best again, and the best is a new one; `keep` counts all together; `drop` "
        "leaves them out. `--changed` counts more.",
    )
    data_version: str | float | None = Field(
        None,
        description="A word or number of yours that changes with the data: a part of the program. `--data-version` "
        "counts more.",
        examples=["2026-11"],
    )
    shell: bool = Field(
        False,
        description="Run the command line by /bin/sh; values are quoted, whatever they hold. "
        "Placeholders inside quotes, `...` or << are refused, since there a value might be run.",
    )
    cwd: str = Field(".", description="Where the program runs, relative to the job file.")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Environment variables for the program."
    )
    gpus_per_trial: float = Field(
        0.0, ge=0, description="GPUs for each trial (fractions share one), as CUDA_VISIBLE_DEVICES."
    )
    executor: str | dict[str, Any] = Field(
        "auto",
        description="Where trials run: on this machine, or on a cluster (`ray`, `slurm`, `dask`, or with options: `{ray: {address: HOST:PORT, "
        "runtime_env: {working_dir: .}}}`, the folder relative to the job file). `--on` and `--address` count more.",
        examples=["ray"],
    )
    resources: dict[str, Any] | None = Field(
        None,
        description="What each trial needs of a cluster: `cpu`, `gpu`, `memory`, `label` (of its node), `custom` "
        "(resources of the cluster's own).",
        examples=["{cpu: 2, gpu: 0.5, memory: 8GiB, label: {market: spot}}"],
    )
    storage: str | None = Field(
        None,
        description="The file that keeps the study, relative to the job file, or the URL of a database "
        "(`postgresql://user@host/database`); without one, "
        "`tunesmith.db` in the current folder (or `$TUNESMITH_STORAGE`).",
    )
    durability: Literal["crash", "power"] = Field(
        "crash", description="What results survive: a kill -9, or a power cut too."
    )
