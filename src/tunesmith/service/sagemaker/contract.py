"""A training's folders, files and variables, as SageMaker's containers find them."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import StudyError
from tunesmith.core.text import text_of
from tunesmith.files import write_json
from tunesmith.integrations.hyperparameters import parsed, plain
from tunesmith.run.program import PARAMETER_PREFIX
from tunesmith.run.withheld import inherited
from tunesmith.service.sagemaker import objects, sent
from tunesmith.service.sagemaker.configuration import Configuration
from tunesmith.service.sagemaker.names import TRAINING, arn
from tunesmith.service.sagemaker.plan import Plan, Training

#: Single machines are called so: other names would have to resolve.
HOST: Final = "localhost"
_BASE: Final = "/opt/ml"
#: Hyperparameters that say what to run, and are none of the script's.
_OURS: Final = "sagemaker_"
_BEGAN: Final = "began"


def tuned(training: Training, config: Mapping[str, Any]) -> dict[str, str]:
    """The hyperparameters that a trial's config has, as texts."""
    return {
        hyperparameter: text_of(config[parameter])
        for parameter, hyperparameter in training.parameters.items()
        if parameter in config
    }


def first_began(folder: Path) -> float:
    """When the first attempt of a training began (s since the epoch)."""
    mark = folder / _BEGAN
    if not mark.exists():
        mark.write_text(str(time.time()), encoding="utf-8")
    return float(mark.read_text(encoding="utf-8"))


class Contents:
    """What is below ``/opt/ml`` for one attempt."""

    def __init__(self, base: Path, training: Training, configuration: Configuration) -> None:
        self.base, self._training, self._configuration = base, training, configuration
        self.cwd = base / "code"
        self._code = sent.Code(self.cwd)
        self._hyperparameters: dict[str, str] = {}
        #: The checkpoints that have been copied, and as of when.
        self._kept: dict[Path, int] = {}
        self._checkpoints = base / training.checkpoint_path.removeprefix(f"{_BASE}/")

    # -- before ---------------------------------------------------------------------------------

    def lay_out(self, plan: Plan, name: str, values: Mapping[str, str]) -> None:
        """Make its folders and files. Raises StudyError, OSError."""
        training = self._training
        first_began(self.base.parent.parent)
        for folder in ("input", "model", "output", "code"):
            shutil.rmtree(self.base / folder, ignore_errors=True)
        for folder in (
            "input/config",
            "input/data",
            "model",
            "output/data",
            "output/intermediate",
            "code",
        ):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        self._hyperparameters = {**training.hyperparameters, **values}
        config = self.base / "input" / "config"
        write_json(config / "hyperparameters.json", self._hyperparameters)
        write_json(config / "resourceconfig.json", self._machines())
        write_json(config / "inputdataconfig.json", self._channels())
        for channel in training.channels:
            self._download(channel)
        self._fetch_checkpoints(name)
        if training.script is not None:
            self._code = sent.unpack(
                self.base, self._hyperparameters, self._configuration, drivers=training.drivers
            )
            self.cwd = self._code.folder
        if training.cwd is not None:
            self.cwd = Path(training.cwd)

    def _machines(self) -> dict[str, Any]:
        machine = self._training.resources.get("InstanceType", "local")
        group = {
            "instance_group_name": "homogeneousCluster",
            "instance_type": machine,
            "hosts": [HOST],
        }
        return {
            "current_host": HOST,
            "current_instance_type": machine,
            "current_group_name": "homogeneousCluster",
            "hosts": [HOST],
            "instance_groups": [group],
            "network_interface_name": "lo",
        }

    def _channels(self) -> dict[str, Any]:
        return {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode") or "File",
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": "None",
                **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
            }
            for channel in self._training.channels
        }

    def _download(self, channel: Mapping[str, Any]) -> None:
        """Have a channel's objects in its folder: links to files of this machine, or copies. Raises StudyError, OSError."""
        source = channel["DataSource"]["S3DataSource"]
        folder = self.base / "input" / "data" / channel["ChannelName"]
        folder.mkdir(parents=True, exist_ok=True)
        found = self._listed(source["S3Uri"], source["S3DataType"])
        if not found:
            raise StudyError(f"Data download failed: there is nothing at {source['S3Uri']}")
        unpacked = channel.get("CompressionType", "None") == "Gzip"
        for one in found:
            target = folder / one.name
            if _leads_out(one.name) or target.is_symlink() or target.exists():
                raise StudyError(
                    f"Data download failed: {one.name} is there twice, or leads elsewhere"
                )
            objects.fetch(one.place, target)
            if unpacked and one.name.endswith(".gz"):
                with gzip.open(target) as packed, target.with_suffix("").open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
                target.unlink()

    def _listed(self, uri: str, kind: str) -> list[objects.Found]:
        if kind == "S3Prefix":
            return objects.below(uri, self._configuration)
        text = objects.text(objects.place(uri, self._configuration))
        try:
            first, *names = json.loads(text)
            prefix = first["prefix"]
            wrong = [name for name in names if not isinstance(name, str)]
        except (ValueError, TypeError, KeyError):
            wrong = [text[:50]]
        if wrong:
            raise StudyError(
                f'{uri}: a manifest is [{{"prefix": "s3://..."}}, "name", ...], not {wrong[0]!r}'
            )
        return [
            objects.Found(name, objects.place(f"{prefix}{name}", self._configuration))
            for name in names
        ]

    # -- checkpoints ----------------------------------------------------------------------------

    def _fetch_checkpoints(self, name: str) -> None:
        """What an earlier attempt, or job, has left. A bucket that is a folder has them at once: ours is a link to it."""
        if self._training.checkpoints is None:
            return
        there = objects.place(f"{self._training.checkpoints}/{name}", self._configuration)
        if there.path is not None:
            there.path.mkdir(parents=True, exist_ok=True)
            if not self._checkpoints.is_symlink():
                self._checkpoints.rmdir()
                self._checkpoints.symlink_to(there.path.absolute())
            return
        for one in objects.below(f"{self._training.checkpoints}/{name}/", self._configuration):
            target = self._checkpoints / one.name
            if not _leads_out(one.name) and not target.exists():
                objects.fetch(one.place, target)

    def keep_checkpoints(self, name: str) -> None:
        """Copy what is new to where it is kept; what cannot be copied now is tried again the next time."""
        if self._training.checkpoints is None or self._checkpoints.is_symlink():
            return
        place = f"{self._training.checkpoints}/{name}"
        try:
            for file in sorted(self._checkpoints.rglob("*")):
                mark = file.stat().st_mtime_ns if file.is_file() else None
                if mark is None or self._kept.get(file) == mark:
                    continue
                target = f"{place}/{file.relative_to(self._checkpoints).as_posix()}"
                objects.put(file, target, self._configuration)
                self._kept[file] = mark
        except (StudyError, OSError) as error:  # such as one that its program removes meanwhile
            sys.stderr.write(f"{place}: not all checkpoints could be kept: {error}\n")

    # -- the program ----------------------------------------------------------------------------

    def words(self, name: str) -> list[str]:
        """The program's command line. Raises OSError where there is none."""
        training = self._training
        if training.algorithm is not None:
            return [
                sys.executable,
                "-P",
                "-m",
                f"tunesmith.service.sagemaker.algorithms.{training.algorithm}",
            ]
        if training.command is not None:
            stands_for = {"{base}": str(self.base), "{image}": training.image, "{job}": name}
            return [
                stands_for.get(word, word.replace("{base}", str(self.base)))
                for word in training.command
            ]
        return self._code.words(training.script or sys.executable, self.cwd, self.arguments)

    @property
    def _own(self) -> dict[str, str]:
        """The script's hyperparameters, as words."""
        return {
            name: plain(text)
            for name, text in self._hyperparameters.items()
            if not name.startswith(_OURS) and name != "_tuning_objective_metric"
        }

    @property
    def arguments(self) -> list[str]:
        words: list[str] = []
        for name, text in self._own.items():
            long = len(name) > 1 or self._training.drivers
            words += [f"--{name}" if long else f"-{name}", text]
        return words

    def variables(self, plan: Plan, name: str) -> dict[str, str]:
        """The program's environment."""
        training, base = self._training, self.base
        data = base / "input" / "data"
        own = self._own
        channels = [channel["ChannelName"] for channel in training.channels]
        made = {
            variable: value
            for variable, value in inherited(os.environ, {}).items()
            if not variable.startswith(PARAMETER_PREFIX)
        }
        folders = {
            "SM_MODEL_DIR": base / "model",
            "SM_OUTPUT_DIR": base / "output",
            "SM_OUTPUT_DATA_DIR": base / "output" / "data",
            "SM_OUTPUT_INTERMEDIATE_DIR": base / "output" / "intermediate",
            "SM_INPUT_DIR": base / "input",
            "SM_INPUT_CONFIG_DIR": base / "input" / "config",
            "SM_MODULE_DIR": self._code.folder,
            **{
                f"SM_CHANNEL_{channel.upper().replace('-', '_')}": data / channel
                for channel in channels
            },
        }
        gpus = made.get("CUDA_VISIBLE_DEVICES", "")
        count = len([one for one in gpus.split(",") if one.strip()])
        facts: dict[str, Any] = {
            "SM_HPS": {key: parsed(text) for key, text in own.items()},
            "SM_CHANNELS": channels,
            "SM_HOSTS": [HOST],
            "SM_CURRENT_HOST": HOST,
            "SM_NUM_CPUS": os.cpu_count() or 1,
            "SM_NUM_GPUS": count,
            "SM_USER_ARGS": self.arguments,
            "SM_INPUT_DATA_CONFIG": self._channels(),
            "SM_RESOURCE_CONFIG": self._machines(),
            "SM_CURRENT_INSTANCE_TYPE": self._machines()["current_instance_type"],
            "SM_NETWORK_INTERFACE_NAME": "lo",
            "SM_JOB_NAME": name,
            "SM_USER_ENTRY_POINT": self._code.entry,
            "SM_LOG_LEVEL": 20,
        }
        facts["SM_TRAINING_ENV"] = {
            key.removeprefix("SM_").lower(): value
            for key, value in {**facts, **{k: str(v) for k, v in folders.items()}}.items()
        } | {"hyperparameters": facts["SM_HPS"], "job_name": name, "model_dir": str(base / "model")}
        made |= {key: str(path) for key, path in folders.items()}
        made |= {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in facts.items()
        }
        made |= {
            f"SM_HP_{key.upper().replace('-', '_')}": text
            for key, text in own.items()
            if "=" not in key and "\0" not in key
        }
        made |= {
            "SAGEMAKER_BASE_DIR": str(base),
            "TRAINING_JOB_NAME": name,
            "TRAINING_JOB_ARN": arn(TRAINING, name, plan.region, plan.account),
            "SAGEMAKER_REGION": plan.region,
            "AWS_REGION": plan.region,
            "PYTHONUNBUFFERED": "1",
            **training.environment,
        }
        return made

    # -- after ----------------------------------------------------------------------------------

    def failure(self) -> str:
        """What the program says of its failure."""
        try:
            with (self.base / "output" / "failure").open(
                encoding="utf-8", errors="replace"
            ) as file:
                return "".join(c for c in file.read(1024) if c.isprintable() or c in "\n\t").strip()
        except OSError:
            return ""

    def keep(self, name: str, *, model: bool) -> None:
        """Copy what it has left to its place. Raises StudyError, OSError."""
        places = [("output/data", "output.tar.gz", "output")]
        if model:
            places.insert(0, ("model", "model.tar.gz", "model"))
        for folder, archive, plain_name in places:
            root = self.base / folder
            if folder != "model" and not any(root.iterdir() if root.is_dir() else ()):
                continue
            where = f"{self._training.output}/{name}/output"
            if not self._training.compressed:
                for file in sorted(p for p in root.rglob("*") if p.is_file()):
                    objects.put(
                        file,
                        f"{where}/{plain_name}/{file.relative_to(root).as_posix()}",
                        self._configuration,
                    )
                continue
            packed = self.base / archive
            with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
                for child in sorted(root.iterdir() if root.is_dir() else ()):
                    tar.add(child, child.name)
            objects.put(packed, f"{where}/{archive}", self._configuration)
            packed.unlink()

    def clear(self) -> None:
        """Remove what is kept elsewhere now."""
        for folder in ("input/data", "model", "code"):
            shutil.rmtree(self.base / folder, ignore_errors=True)


def _leads_out(name: str) -> bool:
    """Whether a path is none below the folder that it is for."""
    path = Path(name)
    return path.is_absolute() or ".." in path.parts
