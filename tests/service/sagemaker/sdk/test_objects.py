"""Buckets of an S3 server: what trainings read there, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres import free_port
from tests.service.sagemaker.storage import Storage

from tunesmith.service.sagemaker import objects
from tunesmith.service.sagemaker.configuration import Bucket, Configuration


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    made = Storage(tmp_path_factory.mktemp("s3"))
    for name in ("data/a.csv", "data/deep/b.csv", "data-2/c.csv", "data.csv"):
        made.client.put_object(Bucket="bucket", Key=name, Body=name.encode())
    yield made
    made.close()


def configuration(storage: Storage) -> Configuration:
    return Configuration({}, buckets={"*": Bucket(**storage.buckets["*"])})


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("data/", ["a.csv", "deep/b.csv"]),
        ("data", ["a.csv", "deep/b.csv"]),
        ("data/a.csv", ["a.csv"]),
        ("dat", ["data-2/c.csv", "data.csv", "data/a.csv", "data/deep/b.csv"]),
        ("data/dee", ["deep/b.csv"]),
        ("none", []),
    ],
)
def test_what_names_begin_with(storage: Storage, key: str, names: list[str]) -> None:
    found = objects.below(f"s3://bucket/{key}", configuration(storage))
    assert sorted(one.name for one in found) == names


def test_to_and_fro(storage: Storage, tmp_path: Path) -> None:
    here = configuration(storage)
    (tmp_path / "model").write_bytes(b"m" * 6_000_000)
    objects.put(tmp_path / "model", "s3://bucket/out/job/model.tar.gz", here)
    assert storage.names("out/") == ["out/job/model.tar.gz"]
    objects.fetch(objects.place("s3://bucket/out/job/model.tar.gz", here), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
    assert objects.text(objects.place("s3://bucket/data/a.csv", here)) == "data/a.csv"


def test_what_cannot_be_had(storage: Storage, tmp_path: Path) -> None:
    """An OSError each time, and no half of a file."""
    here = configuration(storage)
    with pytest.raises(OSError, match="none"):
        objects.fetch(objects.place("s3://bucket/none", here), tmp_path / "none")
    (tmp_path / "model").touch()
    with pytest.raises(OSError):
        objects.put(tmp_path / "model", "s3://no-such-bucket/model", here)
    options = {"endpoint_url": f"http://127.0.0.1:{free_port()}", "key": "k", "secret": "s"}
    nobody = Configuration({}, buckets={"*": Bucket("s3://{bucket}", options)})
    with pytest.raises(OSError, match="onnect"):
        objects.below("s3://bucket/data", nobody)
    assert not (tmp_path / "none").exists()
