"""What a model of the results expects along each parameter, and over two of them.

Fitted, and asked, while nobody waits for the history; but where naming the best trial needs a model of its own
(see `analysis.certainty`), that is fitted under `Reading.result`.
"""

from __future__ import annotations

from typing import Any, Final

from tunesmith.analysis import contours, parameters
from tunesmith.analysis.landscape import Landscape, centre, modelled, surroundings
from tunesmith.analysis.page import Drawings
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.ledger import Ledger
from tunesmith.service.page.readings import Reading

#: A model is made anew once there are so many times as many completed trials.
GROWN: Final = 1.1
#: The numbers of the first figures, apart from those that are there already.
_SLICES: Final = 1000
_CONTOURS: Final = 2000


def slices(reading: Reading, objective: int, names: list[str]) -> dict[str, Any]:
    """Slices of the parameters `names` with the model's line; or `why` there is no model. Raises StudyError."""
    model = model_of(reading, objective)
    if isinstance(model, str):
        return {"why": model}
    known = model.fitted.space.space.tunables
    lines = {name: model.along(name) for name in names if name in known}
    with reading.result() as result:
        trials, drawings = _by(result.ledger, objective), Drawings(_SLICES)
        tunables = result.ledger.spec.space.tunables
        made = [
            drawings.add(parameters.slice_of(trials, name, model, line), small=True)
            for name, line in lines.items()
            if name in tunables  # not edited away since
        ]
        shown = {"slices": made, **_about(trials, model, drawings)}
        if any(name in tunables and not model.uses(name) for name in lines):
            shown["note"] += (
                f" Trial {model.trial} does not use all parameters: along the others nothing is predicted."
            )
        return shown


def contour(reading: Reading, objective: int, x: str, y: str) -> dict[str, Any]:
    """What is expected over two parameters, and how far off that may be; or `why` there is no model. Raises StudyError."""
    model = model_of(reading, objective)
    if isinstance(model, str):
        return {"why": model}
    with reading.result() as result:
        contours.check(_by(result.ledger, objective), x, y)
    plane = model.over(x, y)
    with reading.result() as result:
        trials, drawings = _by(result.ledger, objective), Drawings(_CONTOURS)
        made = [
            drawings.add(draw(trials, x, y, model, plane), paired=True)
            for draw in (contours.contour, contours.doubt)
        ]
        return {"figures": made, **_about(trials, model, drawings)}


def _about(trials: TrialArrays, model: Landscape, drawings: Drawings) -> dict[str, Any]:
    searcher = trials.ledger.spec.searcher.name
    note = (
        ""
        if modelled(trials)
        else f"The searcher {searcher} does without a model; this one is fitted to its trials all the same."
    )
    return {
        "tips": drawings.json(),
        "known": len(model.around.results.rows),
        "trial": model.trial,
        "note": note,
    }


def _by(ledger: Ledger, objective: int) -> TrialArrays:
    return TrialArrays(ledger).by(ledger.spec.place_of(objective))


def model_of(reading: Reading, objective: int) -> Landscape | str:
    """The model of the trials as they are, or were not long ago; a sentence where there is none."""
    with reading.fitting:
        with reading.result() as result:
            ledger = result.ledger
            trials = _by(ledger, objective)
            key, known = ("model", objective), reading.last(("model", objective))
            if known is not None:
                model: Landscape = known[1]
                if _holds(model, trials):
                    return model
            around = surroundings(trials)
            if isinstance(around, str):
                return around
            cursor = ledger.cursor
        made = around.fit()
        with reading.result():
            reading.keep(key, cursor, made)
        return made


def _holds(model: Landscape, trials: TrialArrays) -> bool:
    """Whether a model is as good as one of now: the same space and best, and hardly any new results."""
    results = model.around.results
    same = results.domain.space is trials.ledger.spec.space and model.trial == centre(trials)
    return same and len(trials.done) <= GROWN * len(results.rows)
