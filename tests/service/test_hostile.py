"""Requests at random, to every route: none is answered by a failure of ours, none hangs, and the study stays what it was."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.service.running import Here, request

import tunesmith as ts
from tunesmith.store.sqlite import open_sqlite

VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**63, -(2**80), 1e308, 0.5, "", "s", "a\0b", "\u202e", "x" * 5000, [], [[[]]], [1, "a"], {}, {"": {}},
    {"x": 0.5}, {"x": "a"}, {"loss": 0.1}, {"loss": None}, {"loss": []}, [{"metrics": {"loss": 1}, "step": 2**70}],
    [{"metrics": {"": 1}}], {"trials": -1}, {"trials": "many"}, {"x": {"float": [1, 0]}}, {"x": {"choice": []}}, "auto", "os:system",
    {"grid": {"levels": 10**12}},
]  # fmt: skip
KEYS = ("session", "wait", "value", "values", "metrics", "failed", "attempt", "points", "config", "tags", "parent", "why", "note",
        "undo", "space", "searcher", "limits", "constraints", "duplicates", "holder", "ttl_s", "wait_s", "instead_of", "spec", "at",
        "name", "scope", "days", "studies", "host")  # fmt: skip
PARTS = (
    "s",
    "0",
    "1",
    "-1",
    "99999999999999999999",
    "x",
    "best",
    "slice",
    "ask",
    "write",
    "%00",
    "%ff",
    "a b",
)
QUERIES = ("", "after=-1", "after=99999999999999999999", "limit=0", "limit=x", "trial=-5", "trial=99999999999999999999", "of=x",
           "expect=0", "expect=5", "expect=99999999999999999999", "where=%00", "where=loss%20%3C", "where=" + "(" * 500, "sort=nope",
           "state=x", "format=xml", "as=svg", "parameter=x", "begin=99999999999999999999", "turn=x", "q=%ff")  # fmt: skip


def body_of(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.1:
        return rng.randbytes(rng.randrange(40))
    if kind < 0.2:
        return json.dumps(rng.choice(VALUES)).encode()
    if kind < 0.3:
        event = {
            "kind": rng.choice(["opened", "suggested", "finished", "edited", "nope", 7]),
            "at": rng.choice(VALUES),
        }
        return json.dumps(
            event | {rng.choice(KEYS): rng.choice(VALUES), "trial": rng.choice(VALUES)}
        ).encode()
    names = rng.sample(KEYS, rng.randrange(1, 4))
    return json.dumps({name: rng.choice(VALUES) for name in names}).encode()


def test_requests_at_random(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "s.db")
    here = Here(store)
    study = ts.Study.create(
        ts.Space(x=ts.Float(0, 1)),
        metric="loss",
        name="s",
        storage=store,
        seed=1,
        searcher="random",
    )
    study.tell(study.ask(), 0.5)
    trial = study.ask()
    before = [study.trials[0], study.trials[1].config]
    document = request(here.port, "GET", "/api/v1/openapi.json", token=here.token).json
    routes = [(verb, path) for path, verbs in document["paths"].items() for verb in verbs]
    routes = [
        (v, p)
        for v, p in routes
        if not p.endswith("/stream") and (v, p) != ("delete", "/api/v1/studies/{name}")
    ]
    rng = random.Random(7)
    answers: dict[int, int] = {}
    for n in range(800):
        verb, path = routes[n % len(routes)]
        while "{" in path:
            head, _, rest = path.partition("{")
            name, _, tail = rest.partition("}")
            filled = (
                "s" if name == "name" and rng.random() < 0.9 else quote(rng.choice(PARTS), safe="%")
            )
            path = f"{head}{filled}{tail}"
        query = rng.choice(QUERIES)
        body = None if verb == "get" else body_of(rng)
        answer = request(here.port, verb.upper(), f"{path}?{query}", body, token=here.token)
        answers[answer.status] = answers.get(answer.status, 0) + 1
        assert answer.status < 500, (verb, path, query, body, answer)
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json", (
                verb,
                path,
                query,
                answer,
            )
    assert len(answers) > 5
    again = ts.Study.open("s", storage=tmp_path / "s.db")  # and it can be read as ever
    assert again.trials[1].config == before[1]
    assert again.store.verify("s") is None
    assert trial.number == 1
    here.close()
