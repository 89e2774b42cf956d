"""Tags and owners of studies: made at each door, changed by several at once, found in every store."""

from __future__ import annotations

import getpass
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import tunesmith
from tests.postgres import server
from tests.service.running import Here

import tunesmith as ts
from tunesmith.core.errors import StudyError
from tunesmith.core.study import StudySpec
from tunesmith.store import MemoryStore, Store, open_store
from tunesmith.store.base import Labels, Listing
from tunesmith.tuning.spec import writing_as

SPACE = ts.Space(x=ts.Float(0.0, 1.0))


def value(config: dict[str, Any]) -> float:
    return float(config["x"])


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "studies.db" if request.param == "sqlite" else server().url())
    yield store
    store.close()


def test_a_study_keeps_who_made_it_and_its_tags(store: Store) -> None:
    assert isinstance(store, Listing)
    with writing_as("ana"):
        study = ts.Study.create(SPACE, name="one", storage=store, tags=["vision", "a b", "vision"])
    ts.tune(value, SPACE, name="two", storage=store, tags=["vision"], trials=1, progress=False)
    ts.Study.create(SPACE, name="three", storage=store)
    assert study.spec.tags == ("vision", "a b")
    assert study.tag("new", remove=["vision", "unknown"]) == ("a b", "new")
    assert ts.Study.open("one", storage=store).spec.owner == "ana"
    me = getpass.getuser()
    assert store.labels(["one", "two", "three", "four"]) == {
        "one": Labels(("a b", "new"), "ana"),
        "two": Labels(("vision",), me),
        "three": Labels((), me),
    }
    assert store.summary("one").spec.tags == ("a b", "new")
    study.edit(trials=7)  # another edit leaves them
    assert store.labels(["one"])["one"].tags == ("a b", "new")
    assert store.verify("one") is None


def test_a_study_of_before_there_were_tags_has_none() -> None:
    spec = StudySpec(name="old", space=SPACE)
    assert not {"tags", "owner"} & spec.to_dict().keys()
    assert (StudySpec.from_dict(spec.to_dict()).tags, spec.owner) == ((), "")


def test_two_who_tag_at_once_both_do(tmp_path: Path) -> None:
    storage = tmp_path / "studies.db"
    ts.Study.create(SPACE, storage=storage).close()

    def tag(who: int) -> None:
        with ts.Study.open(storage=storage) as study:
            for k in range(5):
                study.tag(f"{who}-{k}")

    threads = [threading.Thread(target=tag, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ts.Study.open(storage=storage) as study:
        assert sorted(study.spec.tags) == [f"{who}-{k}" for who in range(3) for k in range(5)]


def test_the_same_call_again_adds_tags_and_takes_none_away() -> None:
    store = MemoryStore()

    def run(*tags: str, **options: Any) -> tuple[str, ...]:
        ts.tune(
            value, SPACE, name="s", storage=store, tags=tags, trials=1, progress=False, **options
        )
        return store.summary("s").spec.tags

    assert run("a") == ("a",)
    ts.Study.open("s", storage=store).tag("by hand")
    assert run() == ("a", "by hand")
    assert run("a", "b") == ("a", "by hand", "b")


def test_whoever_joins_may_have_other_tags(tmp_path: Path) -> None:
    storage = tmp_path / "studies.db"
    for tags in (["a"], ["b"]):
        ts.tune(
            value, SPACE, name="s", storage=storage, tags=tags, trials=2, join=True, progress=False
        )
    assert ts.Study.open("s", storage=storage).spec.tags == ("a",)


@pytest.mark.parametrize("tag", ["", " a", "a ", "a,b", "a\nb", "x" * 51, "a\x00", 3])
def test_what_is_no_tag_is_refused(tag: Any) -> None:
    with pytest.raises(StudyError, match="is no tag"):
        ts.Study.create(SPACE, tags=[tag])


@pytest.mark.parametrize(
    "changes", [{"tags": "abc"}, {"tags": None}, {"tags": [1]}, {"owner": "me"}]
)
def test_an_edit_that_could_not_be_read_again_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(StudyError):
        StudySpec(name="s", space=SPACE).edited(changes)


def test_what_is_no_owner_is_refused() -> None:
    stored = StudySpec(name="s", space=SPACE).to_dict()
    for owner in (5, ["me"], "x" * 1000):
        with pytest.raises(StudyError, match="owner is a name"):
            StudySpec.from_dict({**stored, "owner": owner})


def test_a_tag_ends_nothing_and_begins_nothing() -> None:
    study = ts.Study.create(SPACE, searcher="random", seed=1, trials=2)
    other = ts.Study.create(SPACE, searcher="random", seed=1, trials=2)
    other.tag("a")
    for _ in range(2):
        trials = [one.ask() for one in (study, other)]
        assert trials[0].config == trials[1].config
        study.tell(trials[0], 1.0)
        other.tag("b", "c")
        other.tell(trials[1], 1.0)
    with pytest.raises(ts.StudyOver):
        other.ask()
    other.tag("late")
    assert other.result().ledger.ended is not None


def test_over_http_the_owner_is_the_one_whose_token_it_is() -> None:
    store = MemoryStore()
    here = Here(store)
    try:
        url = f"http://{here.token}@127.0.0.1:{here.port}"
        with ts.Study.create(SPACE, name="one", storage=url, tags=["x"]) as study:
            assert study.spec.owner == "ana", "the token's name, not the user's"
            assert study.tag("y") == ("x", "y")
        assert store.load("one").owner == "ana"
        answer = here.ask("POST", "/one/tags", {"add": ["z"], "remove": ["x"]})
        assert answer.json == {"tags": ["y", "z"]}
        assert here.ask("POST", "/one/tags", {"add": ["a,b"]}).status == 422
        ts.Study.create(SPACE, name="two", storage=store)
        for query, names in {"tag=z": ["one"], "tag=x": [], "owner=ana": ["one"]}.items():
            found = here.ask("GET", f"?{query}").json["studies"]
            assert [one["name"] for one in found] == names, query
        assert (found[0]["tags"], found[0]["owner"]) == (["y", "z"], "ana")
    finally:
        here.close()


def test_from_the_command_line(tmp_path: Path) -> None:
    for name, tags in {"one": ["vision"], "two": []}.items():
        ts.Study.create(SPACE, name=name, storage=tmp_path / "tunesmith.db", tags=tags).close()
    assert "one: vision, new" in tunesmith(tmp_path, "tag", "one", "new").out
    assert "one: new" in tunesmith(tmp_path, "tag", "one", "--remove", "vision").out
    listed = tunesmith(tmp_path, "ls", "--tag", "new", "--json").json
    assert [(one["name"], one["tags"], one["owner"]) for one in listed] == [
        ("one", ["new"], getpass.getuser())
    ]
    assert "tags" in tunesmith(tmp_path, "ls").out
    assert "two: no tags" in tunesmith(tmp_path, "tag", "two").out
    assert "new" in tunesmith(tmp_path, "show", "one").out
    refused = tunesmith(tmp_path, "tag", "one", "a,b")
    assert (refused.code, "'a,b' is no tag" in refused.err) == (2, True), refused
