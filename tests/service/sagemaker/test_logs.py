"""What trainings print, as CloudWatch's clients read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.sagemaker.clients import KEY, SECRET, Cloud, config, definition, until

from tunesmith.service.sagemaker.logs import Events, Log, events
from tunesmith.service.sagemaker.protocol import Fault


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    yield made
    made.close()


def client(cloud: Cloud, key: str = KEY) -> Any:
    return boto3.client(
        "logs",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{cloud.service.port}",
        aws_access_key_id=key,
        aws_secret_access_key=SECRET,
    )


GROUP = "/aws/sagemaker/TrainingJobs"


def lines(logs: Any, training: str, **more: Any) -> tuple[list[str], dict[str, Any]]:
    (stream,) = logs.describe_log_streams(
        logGroupName=GROUP, logStreamNamePrefix=training + "/", orderBy="LogStreamName", limit=1
    )["logStreams"]
    page = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"], **more)
    return [one["message"] for one in page["events"]], page


def test_a_training_of_a_job(cloud: Cloud) -> None:
    logs = client(cloud)
    cloud.tune("printed", definition(), config(1, 1))
    cloud.over("printed")
    (training,) = cloud.trainings("printed")
    name = training["TrainingJobName"]
    said, page = lines(logs, name, startFromHead=True)
    assert [line.split(" loss")[0] for line in said] == ["epoch 0", "epoch 1", "epoch 2"]
    more, _ = lines(logs, name, startFromHead=True, nextToken=page["nextForwardToken"])
    assert more == []
    assert lines(logs, name)[0] == said
    assert lines(logs, name, limit=1)[0] == said[-1:]
    (at,) = {one["timestamp"] for one in page["events"]}
    assert lines(logs, name, startTime=at, startFromHead=True)[0] == said
    assert lines(logs, name, startTime=at + 1, startFromHead=True)[0] == []


def test_what_is_not_there(cloud: Cloud) -> None:
    """As CloudWatch says it: the SDKs wait for what has not begun."""
    logs = client(cloud)
    none = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="none-001/")
    assert none["logStreams"] == []
    for group, stream in ((GROUP, "none-001/algo-1-1"), (GROUP, "none"), ("/other", "none")):
        with pytest.raises(logs.exceptions.ResourceNotFoundException):
            logs.get_log_events(logGroupName=group, logStreamName=stream)
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.describe_log_streams(logGroupName="/other", logStreamNamePrefix="a/")


def test_while_it_runs(cloud: Cloud) -> None:
    logs = client(cloud)
    cloud.tune("going", definition(StaticHyperParameters={"waits": "1"}), config(1, 1))
    until(lambda: cloud.trainings("going", StatusEquals="InProgress"))
    name = cloud.trainings("going")[0]["TrainingJobName"]
    until(
        lambda: logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")[
            "logStreams"
        ]
    )
    assert until(lambda: lines(logs, name, startFromHead=True)[0]) == ["loss=5.0"]
    cloud.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="going")
    cloud.over("going")


@given(
    text=st.text("ab\n\r\xe9", max_size=60), limit=st.integers(1, 5), over=st.booleans()
)  # fmt: skip
def test_pages_are_the_whole(tmp_path_factory: Any, text: str, limit: int, over: bool) -> None:
    """Read on and back: each line once, and none before it is whole."""
    folder: Path = tmp_path_factory.getbasetemp() / "log"
    folder.mkdir(exist_ok=True)
    path, data = folder / "output.log", text.encode()
    path.write_bytes(data)
    log = Log(path, 1000, over)
    asked = Events("g", "s", limit=limit, startFromHead=True)
    said: list[str] = []
    while found := (page := events(asked, log))["events"]:
        said += [one["message"] for one in found]
        asked = Events("g", "s", limit=limit, nextToken=page["nextForwardToken"])
    parts = data.splitlines(keepends=True)
    if parts and not parts[-1].endswith(b"\n") and not over:
        parts = parts[:-1]
    wanted = [part.decode().rstrip("\r\n") for part in parts]
    assert said == wanted
    back: list[str] = []
    asked = Events("g", "s", limit=limit, nextToken=page["nextForwardToken"].replace("f", "b"))
    while found := (page := events(asked, log))["events"]:
        back = [one["message"] for one in found] + back
        asked = Events("g", "s", limit=limit, nextToken=page["nextBackwardToken"])
    assert back == wanted


def test_a_token_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a\n")
    log = Log(tmp_path / "log", 1, over=True)
    for token in ("x", "f/", "f/-1", "b/1e3", "f/" + "9" * 30):
        with pytest.raises(Fault, match="nextToken"):
            events(Events("g", "s", nextToken=token), log)
    assert events(Events("g", "s", nextToken="f/999"), log)["events"] == []


def test_attempts(tmp_path: Path) -> None:
    """Of one after the other: the SDK counts lines, and would leave out as many of a second attempt as the first one had."""
    log = Log(tmp_path / "output.log", 1000, over=False)
    with pytest.raises(Fault, match="does not exist"):
        events(Events("g", "s"), log)
    for number in range(11):
        log.path.write_text(f"a{number}\nb{number}\n")
        if number < 10:
            log.path.replace(tmp_path / f"output-{number}.log")
    (tmp_path / "output-x.log").write_text("none\n")
    asked, said = Events("g", "s", limit=3, startFromHead=True), []
    while found := (page := events(asked, log))["events"]:
        said += [one["message"] for one in found]
        asked = Events("g", "s", limit=3, nextToken=page["nextForwardToken"])
    assert said == [f"{letter}{number}" for number in range(11) for letter in "ab"]
    last = events(Events("g", "s", limit=3), log)["events"]
    assert [one["message"] for one in last] == ["b9", "a10", "b10"]
    with log.path.open("a") as file:
        file.write("half")
    page = events(Events("g", "s", limit=1), log)
    assert [one["message"] for one in page["events"]] == ["b10"]
    with log.path.open("a") as file:
        file.write(" and half\n")
    asked = Events("g", "s", nextToken=page["nextForwardToken"])
    assert [one["message"] for one in events(asked, log)["events"]] == ["half and half"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A training writes its own folder, and what it links to may be for the service alone."""
    secret, folder = tmp_path / "secret.yaml", tmp_path / "000000"
    secret.write_text("token: 1\n")
    folder.mkdir()
    (folder / "output-1.log").symlink_to(secret)
    (folder / "output-2.log").mkdir()
    (folder / "output-3.log").write_text("mine\n")
    os.mkfifo(folder / "output-4.log")
    (folder / "output.log").symlink_to(secret)
    page = events(Events("g", "s", startFromHead=True), Log(folder / "output.log", 1, over=True))
    assert [one["message"] for one in page["events"]] == ["mine"]
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(Fault, match="does not exist"):
        events(Events("g", "s"), Log(tmp_path / "linked" / "output.log", 1, over=True))
