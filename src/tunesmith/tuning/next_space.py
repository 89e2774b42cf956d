"""`tunesmith.spaces.suggest`: a space for the next study from the trials of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.analysis.next_space import NextSpace, next_space
from tunesmith.core.errors import StudyError
from tunesmith.tuning.result import Result

if TYPE_CHECKING:
    from tunesmith.tuning.study import Study


def suggest(study: Study | Result) -> NextSpace:
    """A space for the next study, with reasons: ranges are widened where the good trials lie at their ends and narrowed
    to where those and the model's optimum lie, values of choices that were never good are dropped, and what made hardly
    any difference is fixed.

    Its ``space`` goes into `tune` as it is (the recommended config is its default), ``reasons`` says why for each
    parameter, and as text it is YAML for a job file. Raises StudyError for fewer than 10 results.
    """
    result = study if isinstance(study, Result) else getattr(study, "result", lambda: None)()
    if not isinstance(result, Result):
        raise StudyError(
            f"spaces.suggest takes a study or its result, not {type(study).__name__}; ts.Study.open(name, storage=...) "
            "opens one"
        )
    return next_space(result.ledger)
