"""The desk: what could not be taken leaves nothing."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from tests.service.running import Here
from tests.service.sagemaker.clients import KEY, SECRET, request

from tunesmith.service.jobs.jobs import Jobs
from tunesmith.service.sagemaker import shapes
from tunesmith.service.sagemaker.configuration import AccessKey, Configuration, Image
from tunesmith.service.sagemaker.desk import Desk
from tunesmith.service.sagemaker.protocol import decode
from tunesmith.service.sagemaker.records import Record, Records
from tunesmith.service.sagemaker.standing import frozen
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Tokens
from tunesmith.store import MemoryStore

CONFIGURATION = Configuration(
    keys={}, images={"local/train": Image(command=["true"])}, buckets={"bucket": "/data"}
)


def test_a_job_of_which_nothing_could_be_written_down_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(None)
    token = tokens.find(tokens.create("ana", "submit")[0])
    assert token is not None
    store = MemoryStore()
    studies = Studies(store)
    jobs = Jobs(tmp_path / "jobs", tokens, "http://127.0.0.1:1", 1)  # none is begun
    desk = Desk(tmp_path, tmp_path / "sagemaker.yaml", CONFIGURATION, jobs, studies)
    raw: dict[str, Any] = request()
    asked = decode(json.dumps(raw).encode(), shapes.CreateTuning)
    write = Records._write

    def full(self: Records, record: Record) -> Record:
        if record.job:
            raise OSError(28, "No space left on device")
        return write(self, record)

    with closing(studies), monkeypatch.context() as disk:
        disk.setattr(Records, "_write", full)
        with pytest.raises(OSError, match="No space"):
            desk.create_tuning(asked, raw, token, "eu-west-1")
        assert [one.state for one in jobs.all()] == []
        assert store.names() == []
        assert desk.records.all("tuning") == []
        assert [*(tmp_path / "files").iterdir()] == []
    with closing(studies):
        made = desk.create_tuning(asked, raw, token, "eu-west-1")
    assert made.study == made.name
    assert [one.id for one in jobs.all()] == [made.job]


def test_whoever_looks_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a disk to which jobs and records are being written, nor for the histories of jobs that have not begun."""
    tokens = Tokens(None)
    token = tokens.find(tokens.create("ana", "submit")[0])
    assert token is not None
    studies = Studies(MemoryStore())
    jobs = Jobs(tmp_path / "jobs", tokens, "http://127.0.0.1:1", 1)  # none is begun
    desk = Desk(tmp_path, tmp_path / "sagemaker.yaml", CONFIGURATION, jobs, studies)
    raw: dict[str, Any] = request()
    asked = decode(json.dumps(raw).encode(), shapes.CreateTuning)
    record = desk.create_tuning(asked, raw, token, "eu-west-1")
    whole = desk.look(record, frozen)
    monkeypatch.setattr(desk, "look", None)
    found: list[Any] = []
    with jobs._changed, desk.records._lock:
        looking = threading.Thread(
            target=lambda: found.extend(
                [desk.summary(record), jobs.all(), desk.records.all("tuning")]
            )
        )
        looking.start()
        looking.join(60)
        assert not looking.is_alive()
    assert found[0] == whole
    assert [len(one) for one in found[1:]] == [1, 1]
    studies.close()


def test_models_that_think_hold_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads for them may be taken for minutes, by Vizier's clients or by who asks over HTTP."""

    def desk(studies: Studies) -> Desk:
        keys = {KEY: AccessKey(SECRET, "ana")}
        jobs = Jobs(tmp_path / "jobs", Tokens(None), "http://127.0.0.1:1", 1)
        described = msgspec.structs.replace(CONFIGURATION, keys=keys)
        return Desk(tmp_path, tmp_path / "sagemaker.yaml", described, jobs, studies)

    async def thinking(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Studies, "think", thinking)
    here = Here(MemoryStore(), sagemaker=desk)
    client = boto3.client(
        "sagemaker",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{here.port}",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    try:
        client.create_hyper_parameter_tuning_job(**request())
        listed = client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
        assert [one["HyperParameterTuningJobStatus"] for one in listed] == ["InProgress"]
    finally:
        here.close()
