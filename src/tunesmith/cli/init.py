"""`tunesmith init`: write a job file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

TEMPLATE: Final = """\
# A tunesmith job.   Check it:  tunesmith doctor {path}
#                    Run it:    tunesmith run {path}
name: {name}

# The program that trains once. {{name}} stands for a parameter's value; words in [...] are left out when
# a parameter in them is inactive or null. {{args:argparse}} writes all parameters as options: --name value, a flag
# alone for true, a list as several words; {{args:click}} and {{args:hydra}} as those libraries read them;
# {{config_file:base.yaml}} is the path of a copy of that file with the values in it (.json and .toml, too).
command: python train.py --learning-rate {{learning_rate}} --optimizer {{optimizer}} [--momentum {{momentum}}]

# What counts, and how to find it in what the program prints. Programs that print JSON lines such as
# {{"accuracy": 0.93}} or call tunesmith.report(accuracy=0.93) need no metrics: section.
objective: {{metric: accuracy, goal: maximize}}
metrics:
  accuracy: accuracy={{number}}
  # step: epoch {{int}}
  # accuracy: {{csv: '{{trial_dir}}/log.csv', column: val_acc, step: epoch}}   # or json: FILE, key: ...; tensorboard: FOLDER

# What may change. group: model, optimizer or data (for reports).
space:
  learning_rate: {{float: [1e-5, 1e-1], log: true, default: 1e-3, group: optimizer}}
  optimizer: {{choice: [adam, sgd], group: optimizer}}
  momentum: {{float: [0.5, 0.99], log: reverse, when: {{optimizer: sgd}}, group: optimizer}}
  # layers: {{int: [1, 8], group: model}}
  # width: {{choice: [16, 32, 64, 128], ordered: true, group: model}}
  # require: [layers * width <= 512]

# What may be spent. Also: trial_time, trial_memory, compute_time, cost, target, no_improvement, ...
limits:
  trials: 50
  # time: 2h
  # parallel: 2

searcher: auto       # or bayes, tpe, random, {{grid: {{levels: 5}}}}, ...
# seed: 7            # makes the study repeatable
# on_change: refuse  # if the program changes later: continue (and say so), refuse, or new (a study of its own)
# enqueue:           # configs to try first
#   - {{learning_rate: 0.01, optimizer: sgd, momentum: 0.9}}
"""


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("job.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a commented job file to start from."""
    from tunesmith.core.errors import JobError

    if path.exists() and not force:
        raise JobError(f"{path} is there already; --force overwrites it")
    if not path.absolute().parent.is_dir():
        raise JobError(f"the folder {path.parent} does not exist; make it first")
    name = path.absolute().parent.name or "study"
    path.write_text(TEMPLATE.format(path=path, name=name))
    typer.echo(f"wrote {path}; next: edit it, then tunesmith doctor {path}")
