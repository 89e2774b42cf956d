"""TensorBoard and Weights & Biases as trackers, read back with what they have for that."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

pytest.importorskip("tensorboard", reason="runs in the environment 'libraries' (tools/check)")
pytest.importorskip("wandb", reason="runs in the environment 'libraries' (tools/check)")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from wandb.proto import wandb_internal_pb2

pytestmark = pytest.mark.filterwarnings("ignore")
SPACE = ts.Space(
    x=ts.Float(0, 1), layers=ts.Int(1, 3), kind=ts.Choice("a", "b"), mixed=ts.Choice("a", [1, 2])
)


def objective(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
    if trial.number == 2:
        raise ArithmeticError("no")
    for step in (1, 2, 3):
        trial.report(step=step, loss=config["x"] + (10 if trial.number == 3 else 1) / step)
    return {"loss": config["x"], "size": 7.0}


def tuned(folder: Path, trials: int, logger: Any, **options: Any) -> ts.Result:
    return ts.tune(
        objective, SPACE, metric="loss", trials=trials, seed=0, name="digits", storage=str(folder / "s.db"), progress=False,
        scheduler={"threshold": {"worst": 5}}, loggers=[logger], **options,
    )  # fmt: skip


def scalars(folder: Path) -> tuple[dict[str, list[tuple[int, float]]], Any]:
    run = EventAccumulator(str(folder)).Reload()
    found = {tag: [(e.step, e.value) for e in run.Scalars(tag)] for tag in run.Tags()["scalars"]}
    return found, run


def test_tensorboard(tmp_path: Path) -> None:
    logger = {"tensorboard": {"logdir": tmp_path / "runs"}}
    result = tuned(tmp_path, 5, logger, parallel=2)
    for trial in result.trials:
        found, run = scalars(tmp_path / "runs" / "digits" / f"trial-{trial.number}")
        reports = {r.step: r.metrics["loss"] for r in result.ledger.curves.of(trial.number)}
        shown = dict(found.get("loss", []))
        if trial.state is ts.State.COMPLETED:
            reports[3] = trial.metrics["loss"]
            assert found["size"] == [(3, 7.0)]
        assert shown == pytest.approx(reports)
        plugin = run.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        start = plugin_data_pb2.HParamsPluginData.FromString(plugin).session_start_info
        assert start.hparams["x"].number_value == trial.config["x"]
        assert start.hparams["kind"].string_value == trial.config["kind"]
        (state,) = run.Tensors("tunesmith/state")
        assert state.tensor_proto.string_val == [str(trial.state).encode()]
    study = scalars(tmp_path / "runs" / "digits")[1]
    plugin = study.summary_metadata["_hparams_/experiment"].plugin_data.content
    experiment = plugin_data_pb2.HParamsPluginData.FromString(plugin).experiment
    assert [info.name for info in experiment.hparam_infos] == list(SPACE)
    assert [info.name.tag for info in experiment.metric_infos] == ["loss"]

    first = tmp_path / "runs" / "digits" / "trial-0" / "events.out.tfevents.0.tunesmith"
    before = first.read_bytes()
    tuned(tmp_path, 6, logger)
    assert first.read_bytes() == before
    assert scalars(tmp_path / "runs" / "digits" / "trial-5")[0]


def test_one_that_was_interrupted_is_written_anew(tmp_path: Path) -> None:
    from tunesmith.integrations.tensorboard import TensorboardLogger

    result = tuned(tmp_path, 1, TensorboardLogger(tmp_path / "a"))
    logger = TensorboardLogger(tmp_path / "b")
    logger.begin(result.ledger.spec)
    logger.start(result.trials[0])
    logger.report(0, result.trials[0].reports)
    with (tmp_path / "b" / "digits" / "tunesmith.jsonl").open("a") as file:
        file.write('{"trial": 0, "who')
    tuned(tmp_path, 1, TensorboardLogger(tmp_path / "b"))
    place = Path("digits") / "trial-0"
    assert scalars(tmp_path / "a" / place)[0] == scalars(tmp_path / "b" / place)[0]


def test_runs_of_another_study_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = {"tensorboard": {"logdir": tmp_path / "runs"}}
    tuned(tmp_path, 1, logger)
    ts.tune(
        lambda c: c["x"], SPACE, trials=1, name="digits", seed=1, progress=False, loggers=[logger]
    )
    assert "is of another study 'digits'" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["tensorboard", "wandb"])
def test_a_study_anew_is_not_taken_for_one_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    """Of the same name and seed, without a storage."""
    options = {"logdir": tmp_path} if which == "tensorboard" else {"dir": tmp_path}
    for trials, said in ((1, False), (2, True)):
        ts.tune(
            lambda c: c["x"], SPACE, trials=trials, name="digits", seed=0, progress=False, loggers=[{which: options}]
        )  # fmt: skip
        assert ("is of another study 'digits'" in capsys.readouterr().err) is said


def records(file: bytes) -> Iterator[bytes]:
    """What W&B's files hold: LevelDB's log format, in blocks of 32 KiB, after a header of 7 bytes."""
    at, whole = 7, b""
    while at + 7 <= len(file):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        size, kind = struct.unpack_from("<HB", file, at + 4)
        whole += file[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # the whole of a record, or its last part
            yield whole
            whole = b""


def read(folder: Path) -> tuple[dict[str, Any], list[dict[str, str]], dict[str, str], int]:
    """Config, history, summary and exit code of an offline run."""
    (path,) = folder.glob("*.wandb")
    config: dict[str, Any] = {}
    history: list[dict[str, str]] = []
    summary: dict[str, str] = {}
    code = -1
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            config = {item.key: item.value_json for item in record.run.config.update}
        if kind == "history":
            history.append(
                {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
            )
        if kind == "summary":
            summary |= {
                ".".join(i.nested_key) or i.key: i.value_json for i in record.summary.update
            }
        if kind == "exit":
            code = record.exit.exit_code
    return config, history, summary, code


def test_wandb_offline(tmp_path: Path) -> None:
    logger = {"wandb": {"project": "p", "dir": tmp_path}}
    result = tuned(tmp_path, 4, logger)
    folders = {
        int(f.name.rpartition("-")[2]): f for f in (tmp_path / "wandb").glob("offline-run-*")
    }
    assert sorted(folders) == [0, 1, 2, 3]
    for trial in result.trials:
        config, history, summary, code = read(folders[trial.number])
        assert float(config["x"]) == trial.config["x"]
        reports = list(result.ledger.curves.of(trial.number))
        assert [float(row["loss"]) for row in history] == [r.metrics["loss"] for r in reports]
        assert [int(row["_step"]) for row in history] == [r.step for r in reports]
        assert summary["tunesmith.state"] == f'"{trial.state}"'
        assert code == int(trial.state is ts.State.FAILED)
    before = sorted((tmp_path / "wandb").glob("offline-run-*"))
    tuned(tmp_path, 5, logger)
    after = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert set(before) < set(after)
    assert len(after) == 5


def test_importing_costs_nothing() -> None:
    code = (
        "import sys, tunesmith, tunesmith.tuning.tracking, tunesmith.integrations.wandb; "
        "sys.exit('wandb' in sys.modules or 'tensorboard' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
