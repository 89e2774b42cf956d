"""What a job's processes are started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.service.jobs.environment import plan
from tunesmith.service.jobs.job import Job


def test_of_rays_variables_jobs_get_where_a_cluster_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a token, nor what makes a service that runs in a Ray job that job's process."""
    passed = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_USE_TLS", "RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")  # fmt: skip
    for name in (*passed, "RAY_AUTH_TOKEN", "RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_RUNTIME_ENV_HOOK", "RAY_JOB_ID"):  # fmt: skip
        monkeypatch.setenv(name, "x")
    job = Job("1", "study", "job.yaml", 0.0, "token", "me")
    variables = plan(job, tmp_path, "http://127.0.0.1:1", "secret").environment
    assert {name for name in variables if name.startswith("RAY")} == set(passed)
