"""All doors of one service at a time: scripts of boto3, of SageMaker's SDK 2 and 3 and of OSS Vizier, unchanged, its studies in
PostgreSQL, trials on a Ray cluster, and the page in a browser. What has an environment of its own runs in that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect
from tests.clusters.nodes import Nodes
from tests.postgres import free_port, server
from tests.service.page.browser import PATIENCE_MS, Watched, chromium
from tests.service.running import Service
from tests.service.sagemaker.clients import KEY, SECRET, end_below
from tests.service.sagemaker.storage import Storage

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = ROOT / "examples" / "others" / "clouds"
#: By script: whose Python runs it; "" for one that sees what the service does.
PYTHONS: Final = {
    "sagemaker_boto3": "clusters",
    "sagemaker_sdk2": "sagemaker",
    "sagemaker_sdk3": "sagemaker3",
    "vizier_ray": "",
}


def python_of(environment: str) -> Path:
    return ROOT / f".venv-{environment}" / "bin" / "python"


missing = [name for name in ("sagemaker", "sagemaker3", "vizier") if not python_of(name).exists()]
pytestmark = pytest.mark.skipif(
    bool(missing), reason=f"tools/environment makes the environments {', '.join(missing)}"
)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python with Ray, gRPC, Vizier's client and s3fs: it sees what three environments and ours have."""
    made = tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    folders = [
        subprocess.run(
            [python_of(name), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()
        for name in ("clusters", "vizier", "sagemaker")
    ]  # fmt: skip
    (site,) = made.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in folders]
    (site / "below.pth").write_text("".join(lines))
    return made / "bin" / "python"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    made = Storage(tmp_path, python_of("sagemaker"))
    made.client.create_bucket(Bucket="tuning")
    yield made
    made.close()


def test_four_scripts_one_service(
    three_nodes: Nodes,
    python: Path,
    storage: Storage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "token").write_text(os.environ["RAY_AUTH_TOKEN"])
    (tmp_path / "token").chmod(0o600)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    described = {
        "keys": {KEY: {"secret": SECRET, "token": "ana"}},
        "images": {"*/pytorch-training:*": {"script": str(python)}},
        "buckets": storage.buckets,
        "executor": {"ray": {"address": three_nodes.address}},
        "resources": {"cpu": 0.5},
    }
    file, endpoint = tmp_path / "sagemaker.yaml", f"127.0.0.1:{free_port()}"
    file.write_text(json.dumps(described))
    file.chmod(0o600)
    service = Service(
        server().url(), "--sagemaker", str(file), "--vizier", endpoint, python=str(python)
    )
    try:
        service.tokens.create("ana", "submit")
        module = {"Modules": {"Session": {"DefaultS3Bucket": "bucket"}, "TelemetryOptOut": True}}
        sdk = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": module}}
        (tmp_path / "sdk.yaml").write_text(json.dumps(sdk))
        moved = {
            "AWS_ENDPOINT_URL_SAGEMAKER": service.url(),
            "AWS_ENDPOINT_URL_S3": storage.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(tmp_path / "sdk.yaml"),
            "SAGEMAKER_VALIDATE_ROLE": "false",
            "VIZIER_ENDPOINT": endpoint,
            "RAY_ADDRESS": three_nodes.address,
        }
        said = all_at_once(tmp_path, str(python), moved)
        ended = {name: out.splitlines()[-1].split() for name, out in said.items()}
        wanted = {"sagemaker_boto3": "4", "sagemaker_sdk2": "4", "sagemaker_sdk3": "4"}
        assert {name: last[1] for name, last in ended.items()} == wanted | {"vizier_ray": "6"}
        see(service, {last[0]: last[1] for last in ended.values()}, tmp_path / "page.png")
    finally:
        service.close()
        end_below(tmp_path)


def all_at_once(folder: Path, python: str, moved: dict[str, str]) -> dict[str, str]:
    """Run the scripts, each in a folder of its own; what each has printed."""
    said: dict[str, str] = {}

    def run(script: str, interpreter: str) -> None:
        own = folder / script
        shutil.copytree(SCRIPTS, own)
        ran = subprocess.run(
            [interpreter, "-W", "ignore", f"{script}.py"], cwd=own, env={**os.environ, **moved}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500, check=False,
        )  # fmt: skip
        said[script] = ran.stdout if ran.returncode == 0 else f"{ran.stdout}\nfailed: {script}"

    threads = [
        threading.Thread(target=run, args=(name, str(python_of(own)) if own else python))
        for name, own in PYTHONS.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = [out for out in said.values() if "failed: " in out.splitlines()[-1]]
    assert not failed, "\n\n".join(failed)
    assert said.keys() == PYTHONS.keys()
    return said


def see(service: Service, studies: dict[str, str], picture: Path) -> None:
    """Look at the page: all studies are there, each with its trials."""
    with chromium() as browser:
        window = Watched(browser, viewport={"width": 1440, "height": 900})
        page = window.page
        expect.set_options(timeout=PATIENCE_MS)
        page.goto(service.login)
        expect(page.locator(".card")).to_have_count(len(studies))
        page.screenshot(path=picture, full_page=True)
        for name, trials in studies.items():
            page.goto(f"{service.url()}/?study={name}&view=trials")
            expect(page.locator(".rows .row")).to_have_count(int(trials))
        page.screenshot(path=picture.with_name("trials.png"))
        assert window.wrong == []
        window.close()
