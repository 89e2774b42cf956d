"""Pages of lists while they change, and many suggestions at a time."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from tests.service.vizier.client import study
from tests.service.vizier.conftest import Door
from tests.service.vizier.test_hostile import call, refused

from tunesmith.service.vizier import messages


def test_what_is_deleted_moves_nobody(door: Door) -> None:
    """Whoever reads the next page would miss as many as were deleted before it."""
    made = study(door, "pages")
    made.suggest(count=9, client_id="c")

    def page(token: str = "") -> Any:
        asked = messages.of("ListTrialsRequest")(
            parent=made.resource_name, page_size=3, page_token=token
        )
        return call(door, "ListTrials", asked)

    first = page()
    assert [one.id for one in first.trials] == ["1", "2", "3"]
    for number in (2, 3, 5):
        made.get_trial(number).delete()
    second = page(first.next_page_token)
    assert [one.id for one in second.trials] == ["4", "6", "7"]
    third = page(second.next_page_token)
    assert ([one.id for one in third.trials], third.next_page_token) == (["8", "9"], "")


def test_pages_of_studies(door: Door) -> None:
    for name in ("p1", "p2", "p3", "p4"):
        study(door, name, owner="pager")

    def page(token: str = "") -> Any:
        asked = messages.of("ListStudiesRequest")(
            parent="owners/pager", page_size=2, page_token=token
        )
        return call(door, "ListStudies", asked)

    first = page()
    assert [one.display_name for one in first.studies] == ["p1", "p2"]
    call(door, "DeleteStudy", messages.of("DeleteStudyRequest")(name="owners/pager/studies/p2"))
    second = page(first.next_page_token)
    assert [one.display_name for one in second.studies] == ["p3", "p4"]
    assert second.next_page_token == ""


@pytest.mark.parametrize("token", ["3", "x", "eyJ9", "\xe9", "InAxIg=="])
def test_tokens_that_are_none(door: Door, token: str) -> None:
    """Those of another list among them."""
    made = study(door, "tokens")
    made.suggest(count=2, client_id="c")
    asked = messages.of("ListTrialsRequest")(parent=made.resource_name, page_token=token)
    assert refused(door, "ListTrials", asked)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_many_suggestions_let_others_in(door: Door) -> None:
    made = study(door, "many")
    many: list[int] = []

    def ask() -> None:
        many.extend(trial.id for trial in made.suggest(count=600, client_id="greedy"))

    thread = threading.Thread(target=ask)
    thread.start()
    others = []
    while thread.is_alive():
        (trial,) = made.suggest(count=1, client_id="modest")
        others.append(trial.id)
        trial.complete(infeasible_reason="none")
    thread.join()
    assert len(set(many)) == 600
    assert not set(many) & set(others)
    assert any(min(many) < other < max(many) for other in others)
    assert [t.id for t in made.suggest(count=600, client_id="greedy")] == many
