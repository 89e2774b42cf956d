"""The process of a training: what its program finds, what becomes of what it leaves, how it ends."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from tunesmith.service.sagemaker import plan
from tunesmith.service.sagemaker.configuration import load
from tunesmith.service.sagemaker.contract import Contents
from tunesmith.service.sagemaker.moves import Moves
from tunesmith.service.sagemaker.names import training_name
from tunesmith.service.sagemaker.plan import Move, Plan, Training


class Run:
    """A training that is run as the executor does it."""

    def __init__(self, folder: Path, program: str = "", **more: Any) -> None:
        self.folder, self.bucket, self.work = folder, folder / "bucket", folder / "job" / "work"
        self.trial = folder / "trial"
        for path in (self.bucket, self.work, self.trial):
            path.mkdir(parents=True, exist_ok=True)
        (folder / "program.py").write_text(dedent(program))
        configuration = folder / "c.yaml"
        described = {"keys": {}, "buckets": {"b": str(self.bucket), "far": f"file://{folder}/far"}}
        configuration.write_text(json.dumps(described))
        configuration.chmod(0o600)
        self.training = Training(
            **{
                "image": "local/train",
                "hyperparameters": {"static": "7"},
                "parameters": {"learning_rate": "learning-rate"},
                "command": [sys.executable, str(folder / "program.py")],
                "metrics": {"loss": "loss=(.*)"},
                "metric": "loss",
                "output": "s3://b/out",
                **more,
            }
        )
        self.plan = Plan(
            "job", "id", str(configuration), "eu-west-1", "0" * 12, "loss", {"": self.training}
        )
        (self.work / plan.FILE).write_bytes(msgspec.json.encode(self.plan))
        (self.trial / "config.json").write_text('{"learning_rate": 0.5}')
        self.metrics = self.trial / "metrics.jsonl"
        self.name = training_name("job", "id", 4)

    def begin(self, attempt: int = 0) -> subprocess.Popen[str]:
        self.metrics.write_text("")
        variables = {
            "TUNESMITH_TRIAL": "4",
            "TUNESMITH_DIR": str(self.trial),
            "TUNESMITH_CONFIG": str(self.trial / "config.json"),
            "TUNESMITH_METRICS": str(self.metrics),
            "TUNESMITH_TOKEN": "ts_secret",
            "TUNESMITH_STORAGE": "postgresql://ana:secret@db/studies",
        }
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tunesmith.service.sagemaker.training", str(attempt)],
            cwd=self.work, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, attempt: int = 0) -> tuple[int, str]:
        """The exit code, and what was printed."""
        process = self.begin(attempt)
        printed, _ = process.communicate(timeout=120)
        return process.returncode, printed

    @property
    def moves(self) -> list[Move]:
        return Moves(self.work.parent / plan.MOVES).refresh().of(4)

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.metrics.read_text().splitlines()]

    @property
    def output(self) -> Path:
        return self.bucket / "out" / self.name / "output"


LOOKS = """\
    import json, os, pathlib, sys
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    config = {f.stem: json.loads(f.read_text()) for f in (base / "input/config").iterdir()}
    files = sorted(str(f.relative_to(base)) for f in (base / "input/data").rglob("*") if f.is_file())
    variables = {k: v for k, v in os.environ.items() if k.startswith(("SM_", "TUNESMITH_TOKEN", "TUNESMITH_STORAGE", "MINE"))}
    (base / "model" / "seen.json").write_text(json.dumps([config, files, variables, sys.argv[1:]]))
    (base / "output" / "data" / "notes").write_text("n")
    print("loss=0.25")
"""


def seen(run: Run) -> Any:
    with tarfile.open(run.output / "model.tar.gz") as packed:
        file = packed.extractfile("seen.json")
        assert file is not None
        return json.load(file)


class TestContract:
    def test_what_a_program_finds_and_leaves(self, tmp_path: Path) -> None:
        def channel(name: str, uri: str, **more: Any) -> dict[str, Any]:
            kind = more.pop("kind", "S3Prefix")
            source = {"S3DataType": kind, "S3Uri": uri}
            return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}

        run = Run(
            tmp_path,
            LOOKS,
            environment={"MINE": "1"},
            resources={"InstanceType": "ml.m5.large"},
            channels=[
                channel("train", "s3://b/train", ContentType="text/csv"),
                channel("one", "s3://b/train/deep/b.csv"),
                channel("listed", "s3://b/list.manifest", kind="ManifestFile"),
                channel("packed", "s3://b/packed/", CompressionType="Gzip"),
                channel("far", "s3://far/some"),
            ],
        )
        (run.bucket / "train" / "deep").mkdir(parents=True)
        (run.bucket / "train" / "a.csv").write_text("a")
        (run.bucket / "train" / "deep" / "b.csv").write_text("b")
        (run.bucket / "list.manifest").write_text('[{"prefix": "s3://b/train/"}, "deep/b.csv"]')
        (run.bucket / "packed").mkdir()
        (run.bucket / "packed" / "c.csv.gz").write_bytes(gzip.compress(b"c"))
        (tmp_path / "far" / "some").mkdir(parents=True)
        (tmp_path / "far" / "some" / "d.csv").write_text("d")
        code, printed = run.run()
        assert code == 0, printed
        config, files, variables, _ = seen(run)
        wanted = {"static": "7", "learning-rate": "0.5"}
        assert config["hyperparameters"] == wanted
        assert config["resourceconfig"]["current_host"] == "localhost"
        assert config["inputdataconfig"]["train"]["ContentType"] == "text/csv"
        assert [file.removeprefix("input/data/") for file in files] == [
            "far/d.csv", "listed/deep/b.csv", "one/b.csv", "packed/c.csv", "train/a.csv", "train/deep/b.csv",
        ]  # fmt: skip
        assert variables["MINE"] == "1"
        assert not {"TUNESMITH_TOKEN", "TUNESMITH_STORAGE"} & set(variables)
        assert json.loads(variables["SM_HPS"]) == {"static": 7, "learning-rate": 0.5}
        assert variables["SM_HP_LEARNING_RATE"] == "0.5"
        assert variables["SM_CHANNEL_TRAIN"].endswith("opt/ml/input/data/train")
        assert json.loads(variables["SM_TRAINING_ENV"])["job_name"] == run.name
        assert (run.output / "output.tar.gz").is_file()
        assert run.reports == [{"step": 1, "loss": 0.25}]
        steps = ["Starting", "Downloading", "Training", "Uploading", "Completed"]
        assert [move.secondary for move in run.moves] == steps
        assert run.moves[-1].metrics["loss"][0] == 0.25
        assert not (run.trial / "opt/ml/model").exists()

    def test_a_manifest_leads_nowhere_else(self, tmp_path: Path) -> None:
        """Nor to a file of this machine by its whole path."""
        target = tmp_path / "elsewhere.csv"
        source = {"S3DataType": "ManifestFile", "S3Uri": "s3://b/list.manifest"}
        channels = [{"ChannelName": "listed", "DataSource": {"S3DataSource": source}}]
        run = Run(tmp_path, LOOKS, channels=channels)
        there = run.bucket / "below" / str(target).lstrip("/")
        there.parent.mkdir(parents=True)
        there.write_text("x")
        (run.bucket / "list.manifest").write_text(
            json.dumps([{"prefix": "s3://b/below"}, str(target)])
        )
        code, printed = run.run()
        assert code != 0
        assert "leads elsewhere" in f"{printed} {run.moves}"
        assert not target.exists()
        assert not target.is_symlink()

    @pytest.mark.parametrize("quoted", [0, 1, 2])
    def test_a_script_that_the_client_sent(self, tmp_path: Path, quoted: int) -> None:
        """Version 2 of the SDK quotes its texts, and once more those of a tuner that was attached; version 3 does not."""

        def text(value: str) -> str:
            return text_of(value, quoted)

        def text_of(value: str, times: int) -> str:
            return text_of(json.dumps(value), times - 1) if times else value

        sent = {
            "sagemaker_program": text("train.py"),
            "sagemaker_submit_directory": text("s3://b/code/sourcedir.tar.gz"),
            "sagemaker_region": text("eu-west-1"),
            "optimizer": text("adam"),
            "x": "1",
        }
        run = Run(tmp_path, command=None, script=sys.executable, hyperparameters=sent)
        (run.bucket / "code").mkdir()
        with tarfile.open(run.bucket / "code" / "sourcedir.tar.gz", "w:gz") as packed:
            for name, contents in (("train.py", dedent(LOOKS)), ("helper.py", "")):
                member = tarfile.TarInfo(name)
                member.size = len(contents)
                packed.addfile(member, io.BytesIO(contents.encode()))
        code, printed = run.run()
        assert code == 0, printed
        assert seen(run)[3] == ["--optimizer", "adam", "-x", "1", "--learning-rate", "0.5"]

    @pytest.mark.parametrize(
        ("source", "arguments"),
        [
            ({"entry_script": "train.py"}, ["--optimizer", "adam", "--x", "1", "--learning-rate", "0.5"]),
            ({"command": "python3 train.py", "args": ["a b", "$x"]}, ["a b", "$x"]),
        ],
    )  # fmt: skip
    def test_a_script_in_channels(
        self, tmp_path: Path, source: dict[str, Any], arguments: list[str]
    ) -> None:
        """Version 3 of the SDK sends a training alone so, with its own way to start it."""
        run = Run(
            tmp_path,
            command=None,
            script=sys.executable,
            drivers=True,
            hyperparameters={"optimizer": "adam", "x": "1"},
            channels=[
                {
                    "ChannelName": name,
                    "DataSource": {
                        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://b/{name}/"}
                    },
                }
                for name in ("code", "sm_drivers")
            ],
        )
        for folder, name, contents in (
            ("code", "train.py", dedent(LOOKS)),
            ("sm_drivers", "sourcecode.json", json.dumps({"source_dir": "code", **source})),
            ("sm_drivers", "distributed.json", "{}"),
        ):
            (run.bucket / folder).mkdir(exist_ok=True)
            (run.bucket / folder / name).write_text(contents)
        code, printed = run.run()
        assert code == 0, printed
        assert seen(run)[3] == arguments
        (run.bucket / "sm_drivers" / "distributed.json").write_text('{"smp": null}')
        assert run.run()[0] == 1
        assert "distributed cannot be had" in run.moves[-1].message

    def test_an_archive_that_leads_elsewhere(self, tmp_path: Path) -> None:
        sent = {"sagemaker_program": "a.py", "sagemaker_submit_directory": "s3://b/evil.tar.gz"}
        run = Run(tmp_path, command=None, script=sys.executable, hyperparameters=sent)
        with tarfile.open(run.bucket / "evil.tar.gz", "w:gz") as packed:
            packed.addfile(tarfile.TarInfo("../../../../evil.py"), io.BytesIO(b""))
        assert run.run()[0] == 1
        assert "no archive that can be unpacked" in run.moves[-1].message
        assert not list(tmp_path.rglob("evil.py"))

    def test_uncompressed(self, tmp_path: Path) -> None:
        run = Run(tmp_path, LOOKS, compressed=False, output="s3://far/out")
        assert run.run()[0] == 0
        root = tmp_path / "far" / "out" / run.name / "output"
        assert (root / "model" / "seen.json").is_file()
        assert (root / "output" / "notes").is_file()


class TestEnds:
    def test_a_failure(self, tmp_path: Path) -> None:
        program = """\
            import os, pathlib, sys
            (pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "output/failure").write_text("bad\\x1b data" + "x" * 2000)
            sys.exit(9)
        """
        run = Run(tmp_path, program)
        assert run.run()[0] == 9
        assert run.moves[-1].end == "Failed"
        assert run.moves[-1].message.startswith("AlgorithmError: bad data")
        assert len(run.moves[-1].message) <= 1024

    def test_a_failure_whose_output_cannot_be_kept(self, tmp_path: Path) -> None:
        """It is the program's that is told."""
        program = """\
            import os, pathlib, sys
            (pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "output/data/notes").write_text("n")
            sys.exit(9)
        """
        run = Run(tmp_path, program, output="s3://nowhere/out")
        code, printed = run.run()
        assert code == 9
        assert run.moves[-1].end == "Failed"
        assert run.moves[-1].message == "AlgorithmError: exit code 9"
        assert "there is no bucket 'nowhere'" in printed

    def test_data_that_is_not_there(self, tmp_path: Path) -> None:
        source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/none"}
        run = Run(tmp_path, channels=[{"ChannelName": "a", "DataSource": {"S3DataSource": source}}])
        code, printed = run.run()
        assert code == 1
        assert "there is nothing at s3://b/none" in printed
        assert run.moves[-1].secondary == "Failed"

    def test_it_is_asked_to_end(self, tmp_path: Path) -> None:
        """By SIGTERM, or by a file; its program has its time, and what it leaves then counts."""
        program = """\
            import os, pathlib, signal, sys, time
            def end(*_):
                print("loss=0.5", flush=True)
                (pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model/m").touch()
                sys.exit(1)
            signal.signal(signal.SIGTERM, end)
            print("ready", flush=True)
            time.sleep(100)
        """
        for how in ("signal", "file"):
            run = Run(tmp_path / how, program)
            process = run.begin()
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if how == "signal":
                process.send_signal(signal.SIGTERM)
            else:
                (run.trial / plan.STOP).touch()
            process.communicate(timeout=60)
            assert process.returncode == 0
            assert run.moves[-1].end == "Stopped"
            assert run.reports[-1]["loss"] == 0.5
            assert (run.output / "model.tar.gz").is_file()

    def test_steps_that_are_enough(self, tmp_path: Path) -> None:
        program = """\
            import time
            for step in range(1000):
                print(f"loss={step}", flush=True)
                time.sleep(0.05)
        """
        run = Run(tmp_path, program, most_steps=3)
        assert run.run()[0] == 0
        assert run.moves[-1].end == "Stopped"
        assert 3 <= len(run.reports) < 900

    def test_numbers_that_are_none(self, tmp_path: Path) -> None:
        run = Run(tmp_path, 'print("loss=1"); print("loss=nan")')
        assert run.run()[0] == 0
        assert run.moves[-1].metrics == {}
        assert str(run.reports[-1]["loss"]) == "nan"


class TestCheckpoints:
    PROGRAM = """\
        import os, pathlib
        folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "checkpoints"
        old = folder / "step"
        step = int(old.read_text()) + 1 if old.exists() else 0
        old.write_text(str(step))
        print(f"loss={step}")
    """

    @pytest.mark.parametrize("bucket", ["b", "far"])
    def test_they_are_there_for_the_next_attempt(self, tmp_path: Path, bucket: str) -> None:
        """Also on another host: in the bucket, below the training's name."""
        run = Run(tmp_path, self.PROGRAM, checkpoints=f"s3://{bucket}/kept")
        assert run.run()[0] == 0
        root = run.bucket if bucket == "b" else tmp_path / "far"
        assert (root / "kept" / run.name / "step").read_text() == "0"
        run.trial.joinpath("opt").rename(tmp_path / "gone")
        assert run.run(1)[0] == 0
        assert run.reports == [{"step": 1, "loss": 1}]

    def test_one_that_goes_while_they_are_copied(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = Run(tmp_path, checkpoints="s3://far/kept")
        configuration = load(Path(run.plan.configuration))
        contents = Contents(tmp_path / "trial" / "opt" / "ml", run.training, configuration)
        contents.lay_out(run.plan, "name", {})
        old = contents.base / "checkpoints" / "old"
        old.touch()
        really = Path.is_file

        def is_file(path: Path) -> bool:
            found = really(path)
            if path == old:
                old.unlink()
            return found

        with monkeypatch.context() as patched:
            patched.setattr(Path, "is_file", is_file)
            contents.keep_checkpoints("name")
        assert "could be kept" in capsys.readouterr().err
        old.with_name("new").touch()
        contents.keep_checkpoints("name")
        assert (tmp_path / "far" / "kept" / "name" / "new").is_file()

    def test_without_a_place_in_a_bucket(self, tmp_path: Path) -> None:
        run = Run(tmp_path, self.PROGRAM)
        assert run.run()[0] == 0
        assert run.run(1)[0] == 0
        assert run.reports == [{"step": 1, "loss": 1}]
