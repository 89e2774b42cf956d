"""What notebooks show: results and studies as HTML with figures, and progress in the cell that tunes."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any, Final

from tunesmith.analysis import constraints, fronts, parallel, progress
from tunesmith.analysis.fragment import drawing, fragment, pairs, paragraph
from tunesmith.analysis.parameters import importance_bars
from tunesmith.analysis.trials import TrialArrays, show
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count, show_number
from tunesmith.core.text import without_codes
from tunesmith.core.trial import State
from tunesmith.tuning.feed import Feed, Progress, Watcher

if TYPE_CHECKING:
    from tunesmith.tuning.result import Result

#: Larger studies show themselves without what a model has to be fitted for.
MODELLED: Final = 2_000
#: Parameters of a config in its table, and trials of a front.
ROWS: Final = 24
#: How often the progress in a cell is drawn (s).
EVERY_S: Final = 0.5


def result_html(result: Result) -> str:
    """A result: how it stands, the config to take, how the search went, what mattered, what more trials would bring."""
    ledger = result.ledger
    trials = TrialArrays(ledger)
    moment = Feed().moment(ledger, ledger.worked_at)
    parts = [paragraph(f"study {result.spec.name}", "soft"), paragraph(moment, "lead")]
    if result.ended:
        parts.append(paragraph(f"ended: {result.ended}", "soft"))
    single = trials.single
    parts += [paragraph(sentence) for sentence in constraints.sentences(ledger)]
    if not len(trials.feasible):
        return fragment([*parts, paragraph(result.nothing)])
    modelled = single and ledger.size <= MODELLED
    if single and ledger.incumbent is not None:
        chosen = result.recommended if modelled else result.best
        parts.append(paragraph(_standing(result, chosen.number)))
        parts.append(pairs([(k, show(v, 6)) for k, v in _config(ledger, chosen.number)]))
        parts.append(drawing(progress.best_so_far(trials)))
    elif not single:
        many = count(len(trials.front), "trial")
        parts.append(paragraph(f"{many} that no other beats in every objective"))
        for name, number in (("the knee", trials.knee), ("preferred", trials.best)):
            if number is not None:
                parts.append(paragraph(f"{name}: {fronts.standing(ledger, number)}"))
        if trials.best is not None:
            parts.append(pairs([(k, show(v, 6)) for k, v in _config(ledger, trials.best)]))
        parts.append(drawing(fronts.front(trials)))
        if len(result.spec.objectives) > 2:
            parts.append(drawing(parallel.objectives(trials)))
    curves = progress.curves(trials)
    if curves["data"]:
        parts.append(drawing(curves))
    importances = result.importance() if modelled else None
    if importances is not None:
        parts.append(drawing(importance_bars(importances)))
    outlook = result.outlook() if modelled else None
    if outlook is not None:
        parts.append(paragraph(outlook))
    return fragment(parts)


def _config(ledger: Ledger, number: int) -> list[tuple[str, Any]]:
    return list(ledger.config(number).items())[:ROWS]


def _standing(result: Result, number: int) -> str:
    """Which trial's config stands below, in a sentence."""
    from tunesmith.tuning.standing import luck, reached

    metric, best = result.spec.objectives[0].metric, result.best
    words = f"trial {best.number} has the best {metric}, {show_number(best.value)}"
    if (lucky := luck(result, best)) is not None:
        words = f"the best is {reached([metric], best)}; {lucky}"
    if number == best.number:
        return f"{words}, with this config:" if lucky is None else f"{words}. Its config:"
    return (
        f"{words}; recommended is the config of trial {number}, expected to be better on average:"
    )


def progress_html(moment: Progress) -> str:
    """How far a study is: a bar, and the text that terminals show."""
    share, text = moment.fraction_done, html.escape(str(moment))
    bar = "" if share is None else f'<progress value="{share:.4f}" max="1"></progress> '
    failed = moment.counts[State.FAILED]
    last = [c.trial for c in moment.changes if c.trial.state is State.FAILED and c.trial.reason]
    why = paragraph(f"the last failure: {last[-1].reason}", "soft") if failed and last else ""
    return fragment([f"<p>{bar}{text}</p>", why])


class Cell:
    """Progress in a notebook's cell: one display, written over; it works where a notebook's own output does."""

    def __init__(self, also: Watcher | None) -> None:
        self._also = also
        self._feed = Feed()
        self._handle: Any = None
        self._drawn_at = -EVERY_S
        self._last: Progress | None = None

    def watch(self, ledger: Ledger, now: float) -> None:
        self._last = self._feed.moment(ledger, now)
        clock = time.monotonic()
        if clock - self._drawn_at >= EVERY_S:
            self._drawn_at = clock
            self._draw(self._last)
        if self._also is not None:
            self._also(ledger, now)

    def say(self, message: str) -> None:
        from tunesmith import streams

        streams.err().line(without_codes(message))

    def finish(self) -> None:
        if self._last is not None:
            self._draw(self._last)

    def _draw(self, moment: Progress) -> None:
        from IPython.display import HTML, display

        shown = HTML(progress_html(moment))
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this: IPython is loaded, and shows HTML."""
    import sys

    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None
