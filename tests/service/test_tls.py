"""A service with a certificate: who knows its authority is let through, anybody else refuses to talk to it, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.service.running import Service

import tunesmith as ts
from tunesmith.core.errors import StoreUnreachable


def test_a_certificate(
    certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1]))
    service = Service(tmp_path / "studies.db", *options)
    try:
        assert service.login.startswith("https://127.0.0.1:")
        url = service.url(service.token()).replace("http://", "https://")
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(
            StoreUnreachable, match=r"not to be trusted: self.signed.*SSL_CERT_FILE"
        ):
            ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=url)
        with pytest.raises(StoreUnreachable, match="https://"):
            ts.Study.create(
                ts.Space(x=ts.Float(0, 1)), name="s", storage=url.replace("https://", "http://")
            )
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        with ts.Study.create(ts.Space(x=ts.Float(0, 1)), name="s", storage=url) as study:
            study.tell(study.ask(), 0.5)
            assert len(study.trials) == 1
        elsewhere = url.replace("127.0.0.1", "localhost")
        with pytest.raises(StoreUnreachable, match="not to be trusted"):
            ts.Study.open("s", storage=elsewhere)
    finally:
        service.close()
