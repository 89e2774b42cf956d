"""What a person does to a study from the page: each verb is one of `Study`'s, with the person's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.core import events
from tunesmith.core.errors import Conflict, StudyError
from tunesmith.core.limits import Limits
from tunesmith.core.space.space import Space
from tunesmith.service.page.forms import changes_of, digest
from tunesmith.store.base import Store, Tabular
from tunesmith.tuning.study import Study

Body = Mapping[str, Any]


def stop(study: Study, _: Body) -> dict[str, Any]:
    study.stop()
    return {"done": "No more trials begin; those that run get their grace."}


def go_on(study: Study, _: Body) -> dict[str, Any]:
    """A study that was stopped takes trials again. Raises StudyError where that is not what holds it up."""
    if not study.resume():
        raise StudyError(
            "this study has not been stopped: it goes on when somebody asks for a trial"
        )
    return {"done": "It takes trials again. A program that had run it has to be started once more."}


def enqueue(study: Study, body: Body) -> dict[str, Any]:
    """Raises ConfigError, naming the parameter."""
    config = body.get("config")
    if not isinstance(config, Mapping):
        raise StudyError("config: a value for each parameter that is not to take its default")
    trial = study._enqueue(config, why=str(body.get("why") or ""))  # noqa: SLF001
    done = " ".join([f"Trial {trial.number} is in the queue.", *trial.notes])
    return {"done": done, "trial": trial.number}


def edit(study: Study, body: Body) -> dict[str, Any]:
    """Raises Conflict where somebody has changed the study since the form was filled in."""
    spec = study.spec
    if (base := body.get("digest")) is not None and base != digest(spec):
        raise Conflict(
            f"{_who_edited(study.store, study.name)}: look at what it is now, and change it then"
        )
    changes = changes_of(spec, body)
    if not changes:
        return {"done": "Nothing to change."}
    space = Space.from_dict(changes["space"]) if "space" in changes else None
    limits: dict[str, Any] = {}
    if "limits" in changes:
        new = Limits.from_dict(changes["limits"])
        names = spec.limits.to_dict().keys() | changes["limits"].keys()
        limits = {n: getattr(new, n) for n in names if getattr(new, n) != getattr(spec.limits, n)}
    study.edit(space=space, **limits)
    return {"done": f"Changed: {', '.join(sorted(changes))}."}


def tag(study: Study, body: Body) -> dict[str, Any]:
    """Raises StudyError for what is no tag."""
    words = {part: body.get(part) or [] for part in ("add", "remove")}
    for part, tags in words.items():
        if not isinstance(tags, list):
            raise StudyError(f"{part}: a list of tags")
    tags = study.tag(*words["add"], remove=words["remove"])
    return {"done": f"Tags: {', '.join(tags)}." if tags else "It has no tags.", "tags": list(tags)}


def _who_edited(store: Store, name: str) -> str:
    last = None
    if isinstance(store, Tabular):
        for _, event in store.part(name, []):
            last = event if isinstance(event, events.Edited) else last
    by = "somebody" if last is None else last.by
    return f"{by} has changed the study meanwhile"


def retry_failed(study: Study, _: Body) -> dict[str, Any]:
    begun = study.retry_failed()
    return {"done": f"{len(begun)} of the failed trials are in the queue once more."}


def correct(study: Study, number: int, body: Body) -> dict[str, Any]:
    study.correct(number, _values(body), why=_why(body))
    return {"done": "Corrected; the old value stays in the log."}


def retract(study: Study, number: int, body: Body) -> dict[str, Any]:
    undo = body.get("undo") is True
    study.retract(number, why=_why(body), undo=undo)
    return {"done": "It counts again." if undo else "It counts no longer."}


def annotate(study: Study, number: int, body: Body) -> dict[str, Any]:
    note = str(body.get("note") or "").strip()
    if not note:
        raise StudyError("note: what is to be remembered of this trial")
    study.annotate(number, note)
    return {"done": "Noted."}


def cancel(study: Study, number: int, _: Body) -> dict[str, Any]:
    study.cancel(number)
    return {"done": f"Trial {number} is cancelled."}


def again(study: Study, number: int, body: Body) -> dict[str, Any]:
    """The same config once more, as a new trial."""
    why = str(body.get("why") or "") or f"trial {number} once more"
    return enqueue(study, {"config": study.trials[number].config, "why": why})


def _values(body: Body) -> dict[str, float]:
    values = body.get("values")
    if not isinstance(values, Mapping) or not values:
        raise StudyError("values: a number for each metric that is to be mended")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise StudyError(f"values: {name} is a number, not {value!r}")
    return {str(name): float(value) for name, value in values.items()}


def _why(body: Body) -> str:
    why = str(body.get("why") or "").strip()
    if not why:
        raise StudyError("why: say it in a few words, for whoever reads the log")
    return why


STUDY: dict[str, Callable[[Study, Body], dict[str, Any]]] = {
    "stop": stop,
    "go-on": go_on,
    "enqueue": enqueue,
    "edit": edit,
    "tag": tag,
    "retry-failed": retry_failed,
}
TRIAL: dict[str, Callable[[Study, int, Body], dict[str, Any]]] = {
    "correct": correct,
    "retract": retract,
    "annotate": annotate,
    "cancel": cancel,
    "again": again,
}
#: What takes no scope beyond `work`.
WORK = (enqueue, annotate, again)
