"""What the SDK sends for a training to run: an archive that hyperparameters name, or (version 3, for a training alone) channels."""

from __future__ import annotations

import json
import shlex
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tunesmith.core.errors import StudyError
from tunesmith.integrations.hyperparameters import plain
from tunesmith.service.sagemaker import objects
from tunesmith.service.sagemaker.configuration import Configuration
from tunesmith.service.sagemaker.plan import DRIVERS


class Code(NamedTuple):
    """Files, and what of them is run."""

    folder: Path
    entry: str = ""
    #: Words for a shell, which are run instead.
    shell: str = ""

    def words(self, python: str, cwd: Path, arguments: Sequence[str]) -> list[str]:
        """The command line, for a program that runs in `cwd`. Raises FileNotFoundError."""
        if self.shell:
            return ["/bin/bash", "-c", self.shell]
        file = self.folder / self.entry
        if not self.entry or ".." in Path(self.entry).parts or not file.is_file():
            raise FileNotFoundError(
                "sagemaker_program, or entry_script in version 3 of the SDK, is a file of the code that was sent, "
                f"not {self.entry!r}"
            )
        runs = "/bin/bash" if self.entry.endswith(".sh") else python
        return [runs, self.entry if cwd == self.folder else str(file), *arguments]


def unpack(
    base: Path, hyperparameters: Mapping[str, str], configuration: Configuration, *, drivers: bool
) -> Code:
    """The code of a training whose folders are below `base`. Raises StudyError, OSError."""
    found = _of_channels(base) if drivers else _of_archive(base, hyperparameters, configuration)
    if (found.folder / "requirements.txt").is_file():
        said = "not installed: the packages are those of the Python that stands for this image"
        sys.stdout.write(f"requirements.txt: {said}\n")
        sys.stdout.flush()
    return found


def _of_archive(
    base: Path, hyperparameters: Mapping[str, str], configuration: Configuration
) -> Code:
    uri = plain(hyperparameters.get("sagemaker_submit_directory", ""))
    if not uri:
        raise StudyError(
            "the hyperparameter sagemaker_submit_directory is missing: the archive with the code"
        )
    if not uri.startswith("s3://"):
        raise StudyError(f"sagemaker_submit_directory is s3://..., not {uri!r}")
    archive = base / "sourcedir.tar.gz"
    archive.unlink(missing_ok=True)
    found = objects.place(uri, configuration)
    if found.path is not None and not found.path.is_file():
        raise StudyError(f"there is no archive at {uri}")
    objects.fetch(found, archive)
    _extract(archive, base / "code", uri)
    return Code(base / "code", plain(hyperparameters.get("sagemaker_program", "")))


def _of_channels(base: Path) -> Code:
    data = base / "input" / "data"
    told = [data / DRIVERS / f"{name}.json" for name in ("sourcecode", "distributed")]
    try:
        source, distributed = (json.loads(file.read_text(encoding="utf-8")) for file in told)
        entry, command = source.get("entry_script"), source.get("command")
        words = [str(word) for word in source.get("args") or ()]
        archive = str(source.get("source_dir") or "").rpartition("/")[2]
    except (OSError, ValueError, AttributeError, TypeError):
        raise StudyError(
            f"the channel {DRIVERS} is not as version 3 of SageMaker's SDK sends it"
        ) from None
    if distributed:
        raise StudyError("ModelTrainer: distributed cannot be had here; leave it out")
    folder = data / "code"
    folder.mkdir(exist_ok=True)
    if archive.endswith(".tar.gz"):
        _extract(folder / archive, folder, archive)
    shell = " ".join([str(command), shlex.join(words)]) if command else ""
    return Code(folder, str(entry or ""), shell)


def _extract(archive: Path, folder: Path, what: str) -> None:
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise StudyError(f"{what} is no archive that can be unpacked: {error}") from None
