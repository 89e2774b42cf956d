"""Ask, report and tell over HTTP, as a program in any language does it; what can be sent again; what people do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from tests.service.running import Here, request

import tunesmith as ts
from tunesmith.core.events import Event
from tunesmith.store import MemoryStore
from tunesmith.store.sqlite import open_sqlite
from tunesmith.testing.doors import Clock, Script, door_checks, drive
from tunesmith.tuning.replay import replay


class Client:
    """The verbs of ask and tell, each sent twice: whoever gets no answer asks again."""

    def __init__(self, here: Here) -> None:
        self._here = here
        self._attempt = 0

    def _twice(self, path: str, body: Any) -> Any:
        first, again = (self._here.ask("POST", f"/script{path}", body) for _ in range(2))
        assert (first.status, first.body) == (again.status, again.body)
        return first

    def ask(self) -> int | None:
        answer = self._here.ask("POST", "/script/ask", {"session": "worker"})
        if answer.status == 410:
            assert answer.json["code"] == "StudyOver"
            return None
        assert self._here.ask("POST", "/script/ask", {"session": "worker"}).json == answer.json
        self._attempt = answer.json["attempt"]
        return int(answer.json["number"])

    def report(self, trial: int, step: int, loss: float) -> bool:
        point = {"step": step, "metrics": {"loss": loss if loss == loss else None}}
        answer = self._twice(
            f"/trials/{trial}/reports", {"points": [point], "attempt": self._attempt}
        )
        assert answer.status == 200, answer
        return bool(answer.json["decision"] == "stop")

    def tell(self, trial: int, returned: Any, failed: str | None) -> None:
        body: dict[str, Any] = {"attempt": self._attempt}
        if failed is not None:
            body["failed"] = failed
        elif isinstance(returned, dict):
            body["metrics"] = returned
        elif isinstance(returned, list):
            body["values"] = returned
        elif returned is not None:
            body["metrics"] = {"loss": returned if returned == returned else None}
        answer = self._here.ask("POST", f"/script/trials/{trial}/tell", body)
        assert answer.status == 200, answer


class HttpDoor:
    def __init__(self) -> None:
        self.store = MemoryStore()

    def run(self, script: Script, clock: Clock) -> Iterable[Event]:
        here = Here(self.store, clock)
        try:
            self.store.create(script.spec, clock())
            for config in script.queue:
                body = {"config": config, "why": "enqueued"}
                for _ in range(2):
                    answer = here.ask(
                        "POST", "/script/trials", body, idempotency_key=json.dumps(config)
                    )
                    assert answer.status == 201
            drive(Client(here), script, clock)
        finally:
            here.close()
        return list(self.store.changes("script"))


@pytest.mark.parametrize("check", door_checks(HttpDoor), ids=str)
def test_http(check: Any) -> None:
    check()


@pytest.fixture
def here() -> Iterator[Here]:
    store = MemoryStore()
    here = Here(store)
    ts.Study.create(
        ts.Space(x=ts.Float(0, 1), kind=ts.Choice("a", "b")), metric="loss", name="s", storage=store,
        trials=20, searcher="random", seed=1, parallel=3,
    )  # fmt: skip
    yield here
    here.close()


def told(here: Here, n: int = 3) -> None:
    for k in range(n):
        number = here.ask("POST", "/s/ask", {"session": "w"}).json["number"]
        assert here.ask("POST", f"/s/trials/{number}/tell", {"value": k / 10}).status == 200


class TestAskAndTell:
    def test_each_session_has_its_own_trial(self, here: Here) -> None:
        numbers = [here.ask("POST", "/s/ask", {"session": name}).json["number"] for name in "abab"]
        assert numbers == [0, 1, 0, 1]

    def test_many_at_once(self, here: Here) -> None:
        results: list[tuple[int, int]] = []

        def work(name: str) -> None:
            while True:
                answer = here.ask("POST", "/s/ask", {"session": name, "wait": 5})
                if answer.status == 410:
                    return
                if answer.status == 200:
                    number = answer.json["number"]
                    end = here.ask("POST", f"/s/trials/{number}/tell", {"value": 0.5})
                    results.append((number, end.status))

        threads = [threading.Thread(target=work, args=[name]) for name in "abcdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(results) == [(n, 200) for n in range(20)]
        study = here.ask("GET", "/s").json
        assert study["ended"]["why"] == "trials"
        assert replay(here.app.studies.store, "s").problems == []

    def test_reports_sent_again_are_stored_once(self, here: Here) -> None:
        here.ask("POST", "/s/ask", {"session": "w"})
        points = [{"step": n, "metrics": {"loss": 1 / n}} for n in (1, 2, 3)]
        for sent in (points[:2], points[:2], points, points[1:], points[2:]):
            assert here.ask("POST", "/s/trials/0/reports", {"points": sent}).status == 200
        for _ in range(2):
            key = {"idempotency_key": "next"}
            here.ask("POST", "/s/trials/0/reports", {"points": [{"metrics": {"loss": 0.1}}]}, **key)
        study = ts.Study.open("s", storage=here.app.studies.store)
        assert [report.step for report in study.trials[0].reports] == [1, 2, 3, 4]

    def test_a_session_that_asks_twice_at_once_gets_one_trial(self, here: Here) -> None:
        here.ask("PATCH", "/s", {"searcher": "bayes"})
        told(here, 6)
        numbers = []

        def ask() -> None:
            numbers.append(here.ask("POST", "/s/ask", {"session": "w"}).json["number"])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert numbers == [6] * 4

    def test_an_end_that_was_not_told_is_no_success(self, here: Here) -> None:
        for _ in range(2):
            here.ask("POST", "/s/ask", {"session": "w"})
            here.ask(
                "POST", "/s/trials/0/reports", {"points": [{"step": 1, "metrics": {"loss": 1.0}}]}
            )
        assert here.ask("POST", "/s/trials/0/cancel").status == 200
        assert here.ask("POST", "/s/trials/0/tell", {}).status == 409
        number = here.ask("POST", "/s/ask", {"session": "w"}).json["number"]
        for _ in range(2):
            body = {"metrics": {"loss": None}}
            assert here.ask("POST", f"/s/trials/{number}/tell", body).status == 200

    def test_a_second_end_is_refused_where_it_differs(self, here: Here) -> None:
        told(here, 1)
        assert here.ask("POST", "/s/trials/0/tell", {"value": 0.0}).status == 200
        again = here.ask("POST", "/s/trials/0/tell", {"value": 0.5})
        assert (again.status, again.json["code"]) == (409, "TransitionError")
        assert "correct" in again.json["detail"]

    def test_who_was_superseded_is_told(self, here: Here) -> None:
        here.ask("POST", "/s/ask", {"session": "w"})
        for path, body in (
            ("tell", {"value": 1.0, "attempt": 7}),
            ("reports", {"points": [{"metrics": {"loss": 1.0}}], "attempt": 7}),
        ):
            answer = here.ask("POST", f"/s/trials/0/{path}", body)
            assert answer.status == 409
            assert "handed out again" in answer.json["detail"]

    def test_a_worker_that_falls_silent_loses_its_trial(
        self, here: Here, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If it ever gave a sign of life; one that never did keeps it, as a person at a terminal may."""
        for name in ("silent", "person"):
            here.ask("POST", "/s/ask", {"session": name})
        assert here.ask("PUT", "/s/sessions/silent", {}).json == {"stop": {}}
        monkeypatch.setattr("tunesmith.tuning.session.SILENCE_S", -1.0)
        monkeypatch.setattr("tunesmith.tuning.study.LOOK_S", 0.0)
        given = here.ask("POST", "/s/ask", {"session": "other"}).json
        assert (given["number"], given["attempt"]) == (0, 1)
        assert here.ask("POST", "/s/ask", {"session": "another"}).json["number"] == 2
        late = here.ask("POST", "/s/trials/0/tell", {"value": 0.5, "attempt": 0})
        assert late.status == 409

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/nowhere/ask", {"session": "w"}, 404),
            ("/s/ask", {"session": "a b"}, 422),
            ("/s/ask", {}, 422),
            ("/s/ask", {"session": "w", "n": 3}, 422),
            ("/s/trials/99/tell", {"value": 1}, 422),
            ("/s/trials/-1/tell", {"value": 1}, 422),
            ("/s/trials/x/tell", {"value": 1}, 422),
            ("/s/trials/0/tell", {"value": 1, "failed": "x"}, 422),
            ("/s/trials/0/tell", {"metrics": {"loss": "x"}}, 422),
            ("/s/trials", {"config": {"x": 7}}, 422),
            ("/s/trials", {"config": {"y": 0.5}}, 422),
            ("/s/trials/0/correct", {"metrics": {"loss": 1}, "why": "no trial yet"}, 422),
        ],
    )
    def test_what_makes_no_sense(self, here: Here, path: str, body: Any, status: int) -> None:
        answer = here.ask("POST", path, body)
        assert answer.status == status, answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "status", "code", "detail"} <= answer.json.keys()


class TestByHand:
    def test_correct_retract_annotate_cancel(self, here: Here) -> None:
        told(here)
        assert (
            here.ask("POST", "/s/trials/0/correct", {"metrics": {"loss": 0.9}, "why": "typo"}).json[
                "value"
            ]
            == 0.9
        )
        assert here.ask("POST", "/s/trials/1/retract", {"why": "wrong data"}).json["retracted"]
        assert here.ask("POST", "/s/trials/2/annotate", {"note": "good", "tags": {"a": "b"}}).json[
            "tags"
        ] == {"a": "b"}
        assert here.ask("POST", "/s/trials", {"config": {"x": 0.5}}).json["state"] == "waiting"
        assert here.ask("POST", "/s/trials/3/cancel").json["state"] == "cancelled"
        log = [json.loads(line) for line in here.ask("GET", "/s/events").body.split(b"\n")]
        assert {event["by"] for event in log if "by" in event} == {"ana"}, "whose token it is"

    def test_edit_only_what_one_has_seen(self, here: Here) -> None:
        seen = here.ask("GET", "/s").headers["etag"]
        told(here, 1)
        overtaken = here.ask("PATCH", "/s", {"limits": {"trials": 5}}, if_match=seen)
        assert overtaken.status == 412
        again = here.ask(
            "PATCH", "/s", {"limits": {"trials": 5}}, if_match=overtaken.headers["etag"]
        )
        assert again.status == 204
        study = here.ask("GET", "/s")
        assert study.headers["etag"] == again.headers["etag"]
        assert study.json["spec"]["limits"]["trials"] == 5
        assert here.ask("PATCH", "/s", {"limits": {"trails": 5}}).status == 422

    def test_stop(self, here: Here) -> None:
        here.ask("POST", "/s/ask", {"session": "w"})
        assert here.ask("POST", "/s/stop").status == 202
        assert here.ask("POST", "/s/ask", {"session": "other"}).status == 410
        assert here.ask("POST", "/s/trials/0/tell", {"value": 0.5}).status == 200

    def test_resume(self, here: Here) -> None:
        """What was stopped stays so, whoever comes anew, until somebody resumes it: from another program, too."""
        assert here.ask("POST", "/s/resume").json == {"resumed": False}
        here.ask("POST", "/s/ask", {"session": "w"})
        here.ask("POST", "/s/stop")
        assert here.ask("POST", "/s/resume").status == 409
        here.ask("POST", "/s/trials/0/tell", {"value": 0.5})
        for name in ("w", "new", "newer"):
            refused = here.ask("POST", "/s/ask", {"session": name})
            assert (refused.status, refused.json["code"]) == (410, "StudyOver")
        assert here.ask("POST", "/s/resume").json == {"resumed": True}
        assert here.ask("POST", "/s/ask", {"session": "w"}).json["number"] == 1
        here.ask("POST", "/s/trials/1/tell", {"value": 0.5})
        here.ask("POST", "/s/stop")
        location = f"http://{here.token}@127.0.0.1:{here.port}"
        with ts.Study.open("s", storage=location) as study:
            assert study.resume()
        assert here.ask("POST", "/s/ask", {"session": "new"}).json["number"] == 2

    def test_a_key_is_for_one_request(self, here: Here) -> None:
        first = here.ask("POST", "/s/trials", {"config": {"x": 0.5}}, idempotency_key="k")
        assert (
            here.ask("POST", "/s/trials", {"config": {"x": 0.5}}, idempotency_key="k").json
            == first.json
        )
        assert (
            here.ask("POST", "/s/trials", {"config": {"x": 0.6}}, idempotency_key="k").status == 422
        )
        assert (
            here.ask("POST", "/s/trials", {"config": {"x": 0.5}}, idempotency_key="l").json[
                "number"
            ]
            == 1
        )


class TestViews:
    def test_studies_and_trials_in_pages(self, here: Here) -> None:
        told(here, 5)
        assert [s["name"] for s in here.ask("GET", "").json["studies"]] == ["s"]
        assert here.ask("GET", "?q=nowhere").json == {"studies": [], "next": None}
        page = here.ask("GET", "/s/trials?limit=2&sort=-number").json
        assert ([t["number"] for t in page["trials"]], page["next"]) == ([4, 3], 2)
        few = here.ask(
            "GET", "/s/trials?where=loss%20%3C%200.15%20and%20state%20%3D%3D%20%22completed%22"
        ).json["trials"]
        assert [t["number"] for t in few] == [0, 1]
        assert here.ask("GET", "/s/trials?where=los%20%3C%201").status == 422
        assert here.ask("GET", "/s/trials/0").json["origin"]["searcher"] == "random"

    def test_export_report_and_figures(self, here: Here) -> None:
        told(here)
        assert here.ask("GET", "/s/export").body.startswith(b"number,state,")
        here.ask("POST", "/s/trials", {"config": {}, "why": "=HYPERLINK(1)"})
        assert b",'=HYPERLINK(1)," in here.ask("GET", "/s/export").body
        here.ask("POST", "/s/trials/3/cancel")
        assert len(here.ask("GET", "/s/export?format=json").json["trials"]) == 4
        report = here.ask("GET", "/s/report")
        assert b"<html" in report.body
        assert "sandbox" in report.headers["content-security-policy"]
        for figure in ("best", "curves", "cost", "parallel", "slice?parameter=x"):
            mark = "&" if "?" in figure else "?"
            assert here.ask("GET", f"/s/figures/{figure}").json["data"] is not None
            assert b"<svg" in here.ask("GET", f"/s/figures/{figure}{mark}as=svg").body
        assert here.ask("GET", "/s/figures/bets").json["detail"].endswith("did you mean 'best'?")
        few = here.ask("GET", "/s/figures/contour?parameter=x&other=x")
        assert (few.status, few.json["code"]) == (422, "StudyError")
        assert "A model needs 10 completed trials" in few.json["detail"]
        packed = here.ask("GET", "/s/export?format=json", accept_encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip"

    def test_events_as_they_happen(self, here: Here) -> None:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=30)
        headers = {"Authorization": f"Bearer {here.token}", "Last-Event-ID": "0"}
        connection.request("GET", "/api/v1/studies/s/stream", headers=headers)
        stream = connection.getresponse()
        assert stream.headers["content-type"].startswith("text/event-stream")
        here.ask("POST", "/s/ask", {"session": "w"})
        kinds: list[str] = []
        while "suggested" not in kinds:
            line = stream.fp.readline().decode()
            if line.startswith("data: "):
                kinds.append(json.loads(line[6:])["kind"])
        assert kinds == ["opened", "suggested"]
        connection.close()

    def test_the_document_of_the_interface(self, here: Here) -> None:
        document = request(here.port, "GET", "/api/v1/openapi.json", token=here.token).json
        assert {
            "/api/v1/studies/{name}/ask",
            "/api/v1/studies/{name}/trials/{number}/tell",
        } <= document["paths"].keys()
        for path, verbs in document["paths"].items():
            for verb, about in verbs.items():
                assert about.get("description"), (path, verb)


def test_a_study_made_anew_by_another_process_is_another_one(tmp_path: Any) -> None:
    """Its first request hears that the other one is gone; nothing of that one is seen any more."""
    store = open_sqlite(tmp_path / "study.db")
    here = Here(store)
    other = open_sqlite(tmp_path / "study.db")
    try:
        for space in (ts.Space(x=ts.Float(0, 1)), ts.Space(y=ts.Float(2, 3))):
            if "s" in other.names():
                other.delete("s")
            ts.Study.create(space, metric="loss", name="s", storage=other, searcher="random")
            statuses = [here.ask("POST", "/s/ask", {"session": "w"}).status for _ in range(3)]
            assert statuses[1:] == [200, 200]
            answer = here.ask("POST", "/s/ask", {"session": "w"})
            assert set(answer.json["config"]) == set(space)
            assert here.ask("POST", "/s/trials/0/tell", {"value": 0.5}).status == 200
            trials = here.ask("GET", "/s/trials").body
            assert (b'"x"' in trials) == ("x" in space)
            assert (b'"y"' in trials) == ("y" in space)
    finally:
        here.close()
        other.close()
        store.close()


def test_a_model_is_asked_beside_others(tmp_path: Any) -> None:
    """While one study's model is fitted, nothing else waits."""
    store = open_sqlite(tmp_path / "s.db")
    for name in ("slow", "quick"):
        ts.Study.create(
            ts.Space(x=ts.Float(0, 1)), name=name, storage=store, searcher="random", seed=1
        )
    here = Here(store)
    studies = here.app.studies
    begun, over = threading.Event(), threading.Event()
    studies.instant = lambda study: study.name == "quick"  # type: ignore[method-assign]
    ask = studies.ask

    def slow(name: str, session: Any) -> Any:
        if name == "slow":
            begun.set()
            assert over.wait(30)
        return ask(name, session)

    studies.ask = slow  # type: ignore[method-assign]
    waiting = [
        threading.Thread(target=here.ask, args=("POST", "/slow/ask", {"session": f"w{n}"}))
        for n in range(20)
    ]
    for thread in waiting:
        thread.start()
    assert begun.wait(30)
    try:
        for n in range(10):
            assert here.ask("POST", "/quick/ask", {"session": f"w{n}"}).json["number"] == n
            assert here.ask("POST", f"/quick/trials/{n}/tell", {"value": 0.5}).status == 200
    finally:
        over.set()
        for thread in waiting:
            thread.join(30)
        here.close()
