"""Signatures: what is not signed as it arrives is refused, and nothing that comes makes the service fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from tests.service.running import request
from tests.service.sagemaker.clients import KEY, SECRET, Cloud
from tests.service.sagemaker.clients import request as described

from tunesmith.core.errors import StudyNotFound
from tunesmith.tuning.study import Study

TARGET = "SageMaker.ListTrainingJobs"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    yield made
    made.close()


def signed(cloud: Cloud, body: bytes, target: str = TARGET) -> dict[str, str]:
    """The headers of a request, as botocore signs it."""
    made = botocore.awsrequest.AWSRequest(
        "POST",
        f"http://127.0.0.1:{cloud.service.port}/",
        {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"},
        body,
    )
    keys = botocore.credentials.Credentials(KEY, SECRET)
    botocore.auth.SigV4Auth(keys, "sagemaker", "eu-west-1").add_auth(made)
    return dict(made.headers)


def send(cloud: Cloud, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    answer = request(cloud.service.port, "POST", "/", body, headers=headers)
    return answer.status, answer.json


def test_as_it_was_signed(cloud: Cloud) -> None:
    status, shown = send(cloud, b"{}", signed(cloud, b"{}"))
    assert (status, shown) == (200, {"TrainingJobSummaries": []})


@pytest.mark.parametrize(
    "body",
    [b'{"MaxResults": NaN}', b'{"CreationTimeAfter": 1e999}', rb'{"NextToken": "\ud800"}', b"\xff", b"[" * 9999,
     b'{"NextToken": "x"}', b'{"NextToken": "WzFd"}', b'{"MaxResults": 1, "Unheard": 2}', b"null"],
)  # fmt: skip
def test_bodies_that_are_none(cloud: Cloud, body: bytes) -> None:
    status, shown = send(cloud, body, signed(cloud, body))
    assert status == 200 if body == b'{"NextToken": "WzFd"}' else status == 400, shown


def test_what_was_changed_on_its_way(cloud: Cloud) -> None:
    headers = signed(cloud, b"{}")
    assert send(cloud, b'{"MaxResults": 1}', headers)[0] == 403
    other = {**headers, "X-Amz-Target": "SageMaker.StopTrainingJob"}
    assert send(cloud, b"{}", other)[0] == 403
    late = {**headers, "X-Amz-Date": f"{datetime.now(UTC) + timedelta(hours=1):%Y%m%dT%H%M%SZ}"}
    assert send(cloud, b"{}", late)[0] == 403
    own = headers["Authorization"]
    for wrong in (
        own[:-1] + "\xe4", own.replace(";x-amz-target", ""), own.replace("sagemaker", "s3"), own.partition(",")[0],
    ):  # fmt: skip
        status, shown = send(cloud, b"{}", {**headers, "Authorization": wrong})
        assert status == 403
        assert shown["__type"] == "InvalidSignatureException"


def test_a_job_that_cannot_be_written_down(cloud: Cloud) -> None:
    """Nothing of it stays."""
    state = next(cloud.folder.rglob("sagemaker/tuning")).parent
    (state / "tuning" / "blocked.json" / "in the way").mkdir(parents=True)
    target = "SageMaker.CreateHyperParameterTuningJob"
    body = json.dumps(described("blocked")).encode()
    status, shown = send(cloud, body, signed(cloud, body, target))
    assert (status, shown["__type"]) == (500, "InternalFailure")
    assert not list((state / "files").glob("*"))
    url = cloud.service.url(cloud.service.token())
    with pytest.raises(StudyNotFound):
        Study.open("blocked", storage=url)


def test_operations_that_are_none(cloud: Cloud) -> None:
    for target in ("SageMaker.CreateEndpoint", "Other.List", ""):
        status, shown = send(cloud, b"{}", signed(cloud, b"{}", target))
        assert status == 400
        assert shown["__type"] == "UnknownOperationException"


def test_without_a_signature(cloud: Cloud) -> None:
    """It is as any address of the service that takes a token."""
    assert send(cloud, b"{}", {})[0] == 401
    bearer = {"Authorization": f"Bearer {cloud.service.token('read')}"}
    status, shown = send(cloud, b"{}", bearer)
    assert status == 403
    assert shown["__type"] == "MissingAuthenticationTokenException"
