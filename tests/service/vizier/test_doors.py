"""Who is let in, and where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.postgres import free_port
from tests.service.running import Service
from tests.service.vizier.client import config, study
from tests.service.vizier.conftest import Door
from tests.service.vizier.test_hostile import call, refused

from tunesmith.core.errors import StudyError
from tunesmith.service.vizier import messages
from tunesmith.service.vizier.rpc import Endpoint, _address


def list_of(owner: str) -> Any:
    return messages.of("ListStudiesRequest")(parent=f"owners/{owner}")


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def test_what_a_token_is_for(door: Door) -> None:
    """None is needed at a loopback address; one that is brought counts, with its scope and its studies."""
    made = study(door, "seen")
    assert call(door, "ListStudies", list_of("ana")).studies
    code, said = refused(door, "ListStudies", list_of("ana"), bearer("ts_nonsense"))
    assert (code, said[:10]) == (grpc.StatusCode.UNAUTHENTICATED, "this token")
    assert refused(door, "ListStudies", list_of("ana"), [("authorization", "Basic x")])[0] is code
    reader = bearer(door.tokens.create("reader", "read")[0])
    assert call(door, "ListStudies", list_of("ana"), reader).studies
    suggest = messages.of("SuggestTrialsRequest")(
        parent=made.resource_name, client_id="c", suggestion_count=1
    )
    assert refused(door, "SuggestTrials", suggest, reader)[0] is grpc.StatusCode.PERMISSION_DENIED
    elsewhere = bearer(door.tokens.create("elsewhere", "control", studies=("other",))[0])
    assert not call(door, "ListStudies", list_of("ana"), elsewhere).studies
    assert refused(door, "SuggestTrials", suggest, elsewhere)[0] is grpc.StatusCode.NOT_FOUND
    worker = bearer(door.tokens.create("worker", "work")[0])
    delete = messages.of("DeleteStudyRequest")(name=made.resource_name)
    assert refused(door, "DeleteStudy", delete, worker)[0] is grpc.StatusCode.PERMISSION_DENIED
    call(door, "DeleteStudy", delete)
    log = (door.tokens._path or Path()).with_name("audit.log").read_text()
    assert (
        '"name":"vizier","method":"POST","path":"/vizier.VizierService/DeleteStudy owners/ana/studies/seen","status":200'
        in log
    )


def test_studies_of_other_doors(door: Door) -> None:
    """Who needs no token sees Vizier's studies alone."""
    url = door.url(door.token())
    spec = {"name": "private", "space": {"x": {"float": [0, 1]}}, "objectives": [{"metric": "m", "goal": "minimize"}]}  # fmt: skip
    assert door.ask("POST", "/api/v1/studies", {"spec": spec, "at": 0}, token=url.split("//")[1].split("@")[0]).status == 201  # fmt: skip
    names = [s.display_name for s in call(door, "ListStudies", list_of("ana")).studies]
    assert "private" not in names
    get = messages.of("GetStudyRequest")(name="owners/ana/studies/private")
    assert refused(door, "GetStudy", get)[0] is grpc.StatusCode.NOT_FOUND
    made = study(door, "private")  # of the same name, and another one
    assert made.resource_name == "owners/ana/studies/private"
    assert not list(made.trials())


def test_a_name_that_another_study_has_now(door: Door) -> None:
    """It is not deleted for the one that had it."""
    token = door.url(door.token()).split("//")[1].split("@")[0]
    made = study(door, "passed-on")
    assert door.ask("DELETE", "/api/v1/studies/passed-on", token=token).status < 300
    spec = {"name": "passed-on", "space": {"x": {"float": [0, 1]}}, "objectives": [{"metric": "m", "goal": "minimize"}]}  # fmt: skip
    assert door.ask("POST", "/api/v1/studies", {"spec": spec, "at": 0}, token=token).status == 201
    delete = messages.of("DeleteStudyRequest")(name=made.resource_name)
    assert refused(door, "DeleteStudy", delete)[0] is grpc.StatusCode.NOT_FOUND
    assert door.ask("GET", "/api/v1/studies/passed-on", token=token).status == 200


def test_a_mark_that_anybody_wrote(door: Door) -> None:
    """A study that says it is another one's is not taken for it."""
    token = door.url(door.token()).split("//")[1].split("@")[0]
    made = study(door, "real")
    mark = {"name": made.resource_name, "display_name": "real", "spec": "{}", "metadata": {}}
    unreal = {**mark, "name": "owners/ana/studies/unreal", "display_name": "unreal"}
    for name, job in (("feigned", mark), ("another", unreal)):
        spec = {"name": name, "space": {"x": {"float": [0, 1]}}, "objectives": [{"metric": "m", "goal": "minimize"}], "job": {"vizier": job}}  # fmt: skip
        assert door.ask("POST", "/api/v1/studies", {"spec": spec, "at": 0}, token=token).status == 201  # fmt: skip
    shown = [s.name for s in call(door, "ListStudies", list_of("ana")).studies]
    assert shown.count(made.resource_name) == 1
    get = messages.of("GetStudyRequest")(name="owners/ana/studies/unreal")
    assert refused(door, "GetStudy", get)[0] is grpc.StatusCode.NOT_FOUND
    call(door, "DeleteStudy", messages.of("DeleteStudyRequest")(name=made.resource_name))
    assert door.ask("GET", "/api/v1/studies/feigned", token=token).status == 200


def test_a_socket(tmp_path: Path) -> None:
    """It is its user's alone; what a killed service has left there is in nobody's way, and one that runs is not pushed aside."""
    path = tmp_path / "vizier.sock"
    service = Door(tmp_path / "studies.db", endpoint=f"unix:{path}")
    try:
        made = study(service, "socket")
        assert made.suggest(count=1)
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(StudyError, match="another one is running there"):
            Endpoint(f"unix:{path}").ready()
        service.stop()
        service.start()
        assert made.suggest(count=1)[0].id == 1
    finally:
        service.close()


def test_a_certificate(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """Beyond this machine it takes TLS and a token, which a client's own stub brings."""
    port = free_port()
    options = (
        "--tls-cert",
        str(certificate[0]),
        "--tls-key",
        str(certificate[1]),
        "--vizier",
        f"0.0.0.0:{port}",
    )
    service = Service(tmp_path / "studies.db", *options)
    try:
        from vizier._src.service import vizier_client, vizier_service_pb2_grpc
        from vizier.service import clients

        trusted = grpc.ssl_channel_credentials(certificate[0].read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{port}", trusted) as channel:
            grpc.channel_ready_future(channel).result(60)

        def stub(token: str) -> Any:
            brought = grpc.composite_channel_credentials(
                trusted, grpc.access_token_call_credentials(token)
            )
            channel = grpc.secure_channel(f"127.0.0.1:{port}", brought)
            return vizier_service_pb2_grpc.VizierServiceStub(channel)

        create = messages.of("CreateStudyRequest")(parent="owners/ana")
        create.study.display_name = "tls"
        create.study.study_spec.ParseFromString(config().to_proto().SerializeToString())
        with grpc.secure_channel(f"127.0.0.1:{port}", trusted) as channel:
            with pytest.raises(grpc.RpcError, match="a token is needed"):
                channel.unary_unary("/vizier.VizierService/CreateStudy")(create.SerializeToString())
            token = service.token("work")
            channel.unary_unary("/vizier.VizierService/CreateStudy")(
                create.SerializeToString(), metadata=bearer(token)
            )
        made = clients.Study(
            vizier_client.VizierClient("owners/ana/studies/tls", "me", stub(token))
        )
        assert made.suggest(count=1)[0].id == 1
    finally:
        service.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0.0.0.0:6006", "its client brings no token"),
        ("tuner:6006", "leave it at 127.0.0.1"),
        ("6006", "it is HOST:PORT"),
        ("localhost:x", "it is HOST:PORT"),
        ("localhost:99999", "it is HOST:PORT"),
        ("unix:", "names a socket"),
    ],
)
def test_where_it_may_be(address: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Endpoint(address)


def test_a_port_that_is_taken(door: Door) -> None:
    with pytest.raises(StudyError, match="is another one running there"):
        Endpoint(door.endpoint).ready()


def test_without_grpcio(tmp_path: Path) -> None:
    """What is missing is said, and how to get it."""
    (tmp_path / "grpc.py").write_text("raise ImportError('no grpc here')")
    run = subprocess.run(
        [sys.executable, "-c", "from tunesmith.cli import main; main()", "serve", "-s", tmp_path / "s.db", "--port", "0",
         "--vizier", "127.0.0.1:0"],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=100,
    )  # fmt: skip
    assert run.returncode != 0
    assert "pip install 'tunesmith[serve,vizier]'" in run.stderr.replace("\n", " ")


def test_wrong_tokens_are_counted_at_all_doors(tmp_path: Path) -> None:
    """Else this door would be the one to guess at. A valid one is let in all the same."""
    door = Door(tmp_path / "studies.db")
    try:
        codes = [
            refused(door, "ListStudies", list_of("ana"), bearer(f"ts_{n}"))[0] for n in range(11)
        ]
        assert codes[0] is grpc.StatusCode.UNAUTHENTICATED
        assert codes[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert door.ask("GET", "/api/v1/names", token="ts_wrong").status == 429
        assert not call(door, "ListStudies", list_of("ana"), bearer(door.token())).studies
        assert not call(door, "ListStudies", list_of("ana")).studies
    finally:
        door.close()


@pytest.mark.parametrize(
    ("peer", "address"),
    [("ipv4:127.0.0.1:5000", "127.0.0.1"), ("ipv6:%5B::1%5D:5000", "::1"), ("ipv6:[2001:db8::7]:9", "2001:db8::7"),
     ("unix:", "unix"), ("unix:/tmp/a", "unix")],
)  # fmt: skip
def test_addresses(peer: str, address: str) -> None:
    assert _address(peer) == address
