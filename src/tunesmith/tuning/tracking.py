"""What a study tells experiment trackers as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, Protocol, TypeAlias

from tunesmith import streams
from tunesmith.core.errors import ConfigError, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import ENDED, Report, State, Trial
from tunesmith.tuning.feed import Watcher

#: Ours, each in the module of its name.
NAMES: Final = ("mlflow", "tensorboard", "wandb")
#: Where packages name theirs: ``[project.entry-points."tunesmith.trackers"]``, a name and what makes the tracker.
ENTRY_POINTS: Final = "tunesmith.trackers"


class Tracker(Protocol):
    """Keeps what happens elsewhere, as a library's runs. A study that is resumed tells it everything again: it takes what
    it has already."""

    def begin(self, study: StudySpec) -> None: ...

    def start(self, trial: Trial) -> None:
        """A trial began; it is told of once."""
        ...

    def report(self, trial: int, reports: Sequence[Report]) -> None:
        """Reports of a trial that has been told of."""
        ...

    def end(self, trial: Trial) -> None:
        """A trial that has been told of ended; its last values are in ``trial.metrics``."""
        ...

    def close(self) -> None:
        """The study goes on no more for now."""
        ...


#: A tracker, the name of one, or ``{name: options}``.
Named: TypeAlias = Tracker | str | Mapping[str, Mapping[str, Any]]


def made(tracker: Named) -> Tracker:
    """The tracker that is meant. Raises ConfigError for a name that no package has, or that misses its own."""
    if isinstance(tracker, str):
        return made({tracker: {}})
    if not isinstance(tracker, Mapping):
        return tracker
    if len(tracker) != 1:
        raise ConfigError("a logger is {name: options}, one name at a time")
    ((name, options),) = tracker.items()
    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in others:
        make = others[name].load()
    elif name in NAMES:
        try:
            make = import_module(f"tunesmith.integrations.{name}").TRACKER
        except ImportError as error:
            raise ConfigError(
                f"the logger {name!r} needs a package that is not here ({error}): pip install 'tunesmith[{name}]'"
            ) from error
    else:
        known = sorted({*NAMES, *others})
        raise ConfigError(
            f"there is no logger {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}"
        )
    tracker_made: Tracker = make(**options)
    return tracker_made


class Tracking:
    """A watcher that tells trackers what is new. One that fails is told nothing more, and ends no study."""

    def __init__(self, trackers: Sequence[Tracker], say: Callable[[str], None]) -> None:
        self._told = [_Told(tracker) for tracker in trackers]
        self._say = say

    def __call__(self, ledger: Ledger, now: float) -> None:
        self._each(lambda told: told.update(ledger))

    def close(self) -> None:
        self._each(lambda told: told.tracker.close())

    def _each(self, act: Callable[[_Told], None]) -> None:
        for told in list(self._told):
            try:
                act(told)
            except Exception as error:  # noqa: BLE001 (whatever a server or its client does, the study goes on)
                self._told.remove(told)
                name = type(told.tracker).__name__
                self._say(
                    f"{name} gets nothing more of this study: {type(error).__name__}: {error}"
                )


@contextmanager
def tracked(trackers: Sequence[Named], also: Watcher | None) -> Iterator[Watcher | None]:
    """A watcher that tells `trackers` what `also` sees; they are closed in the end, whatever it is. Raises ConfigError."""
    if not trackers:
        yield also
        return
    tracking = Tracking([made(tracker) for tracker in trackers], streams.err().line)

    def watch(ledger: Ledger, now: float) -> None:
        tracking(ledger, now)
        if also is not None:
            also(ledger, now)

    try:
        yield watch
    finally:
        tracking.close()


class _Told:
    """How far one tracker has been told."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._begun = False
        self._reports = 0
        #: Trials with a number from this on have not begun, as far as it knows; and earlier ones that have not ended.
        self._next = 0
        self._waiting: set[int] = set()
        self._open: set[int] = set()

    def update(self, ledger: Ledger) -> None:
        """Tell what is new: O(new)."""
        if not self._begun:
            self.tracker.begin(ledger.spec)
            self._begun = True
        self._waiting |= set(range(self._next, ledger.size))
        self._next = ledger.size
        for number in sorted(self._waiting):
            state = ledger.state(number)
            if state is State.WAITING and ledger.attempt(number) < 0:
                continue
            self._waiting.discard(number)
            self._open.add(number)
            self.tracker.start(ledger.trial(number))
        news: dict[int, list[Report]] = {}
        for index in range(self._reports, len(ledger.curves)):
            number, report = ledger.curves.at(index)
            news.setdefault(number, []).append(report)
        self._reports = len(ledger.curves)
        for number, reports in news.items():
            self.tracker.report(number, reports)
        for number in [n for n in self._open if ledger.state(n) in ENDED]:
            self._open.discard(number)
            self.tracker.end(ledger.trial(number))
