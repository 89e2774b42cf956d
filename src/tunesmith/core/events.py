"""What happens to a study, as data.

*Events* are stored: they are the one truth, and a study's history is their fold. An event is a
frozen value; `at` is in seconds since the epoch, `trial` a trial's number. A metric that is not
finite is kept as NaN (JSON has null for it).

*Signals* reach the engine but are not stored. *Commands* leave it: a shell carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from tunesmith.core.rng import derive_seed
from tunesmith.core.space.space import Config
from tunesmith.core.trial import Cost, Origin, Reason, State

# -- events -----------------------------------------------------------------------------------


class _Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind"):
    """A field with its default is left out of the stored text: a new one needs no new version."""

    at: float


class Opened(_Event, frozen=True, gc=False, tag="opened"):
    """A coordinator, or an ask-and-tell client, began to work on the study."""

    session: str
    host: str
    pid: int
    #: When that process began: a pid alone may be used again.
    pid_started: float
    #: Whether it runs trials by itself (at most one such session at a time).
    coordinator: bool = True
    #: The tunesmith that was at work: another one may suggest otherwise.
    version: str = ""
    #: What rounding depends on there (processor, kernel, numpy, scipy, blas, threads), as far as it is known.
    arithmetic: Mapping[str, str] = {}
    #: What trials run there: each part of the program, and what tells its versions apart; empty if that is not known.
    program: Mapping[str, str] = {}
    #: The running kernel and the pid namespace in which `pid` means this process; "" where that cannot be known.
    machine: str = ""
    #: What becomes of the trials that ran something else: see `core.aging`; "" where all count together.
    changed: str = ""
    #: Which task of a cluster's queue it is, in words; "" where it is none.
    task: str = ""


class Closed(_Event, frozen=True, gc=False, tag="closed"):
    """A session ended in good order."""

    session: str


class Suggested(_Event, frozen=True, gc=False, tag="suggested"):
    """A searcher made a config, and its trial started at once."""

    trial: int
    config: Config
    origin: Origin
    session: str


class Enqueued(_Event, frozen=True, gc=False, tag="enqueued"):
    """Somebody put a config into the queue."""

    trial: int
    config: Config
    origin: Origin
    tags: Mapping[str, str] = {}
    parent: int | None = None
    #: What tells this request from others that look alike, where it may be made again.
    key: str = ""


class Started(_Event, frozen=True, gc=False, tag="started"):
    """A waiting or paused trial began an attempt (the first is 0); `why` a scheduler let it go on."""

    trial: int
    attempt: int
    session: str
    why: str = ""
    #: Whether the scheduler had been told that no more trials will begin (see `History.full`).
    full: bool = False


class Forked(_Event, frozen=True, gc=False, tag="forked"):
    """A scheduler began a trial that goes on from the checkpoint of another, with a config of its own."""

    trial: int
    parent: int
    config: Config
    origin: Origin
    session: str
    #: The last step that the other one had reported.
    step: int = 0
    #: As in `Started`.
    full: bool = False


class Reported(_Event, frozen=True, gc=False, tag="reported"):
    """Metrics at a step."""

    trial: int
    attempt: int
    step: int
    metrics: Mapping[str, float | None]
    #: As in `Enqueued`, of the request that brought this report and perhaps others.
    key: str = ""


class Asked(_Event, frozen=True, gc=False, tag="asked"):
    """A running trial asked for parameters by name, in a study whose space is learned from that: see `core.asking`."""

    trial: int
    attempt: int
    #: How each one was asked for, in the form of `Parameter.to_dict`, and the value that it was given.
    parameters: Mapping[str, Any] = {}
    values: Config = {}
    #: All that it has asked for so far, where its config has other names; None where that is not said.
    only: tuple[str, ...] | None = None


class Finished(_Event, frozen=True, gc=False, tag="finished"):
    """A trial ended; `state` is one of the ends."""

    trial: int
    attempt: int
    state: State
    values: tuple[float, ...] | None = None
    metrics: Mapping[str, float | None] = {}
    reason: Reason | None = None
    cost: Cost = Cost()
    #: As in `Started`, for a paused trial that a scheduler dropped.
    full: bool = False


class Requeued(_Event, frozen=True, gc=False, tag="requeued"):
    """A running trial was lost or interrupted, and waits to be run again."""

    trial: int
    attempt: int
    reason: Reason
    cost: Cost = Cost()
    #: Whether `retries` counts it: the trial did it itself.
    counted: bool = False


class Paused(_Event, frozen=True, gc=False, tag="paused"):
    """A running trial ended its job for now, as its scheduler wanted."""

    trial: int
    attempt: int
    reason: Reason
    cost: Cost = Cost()


class Decided(_Event, frozen=True, gc=False, tag="decided"):
    """A scheduler decided on a running trial (``stop``, ``pause``, or ``audit``: it would have stopped
    it); going on is not recorded."""

    trial: int
    decision: str
    why: str


class Corrected(_Event, frozen=True, gc=False, tag="corrected"):
    """Somebody mended a result; the old one stays in the log."""

    trial: int
    values: tuple[float, ...]
    metrics: Mapping[str, float | None]
    why: str
    by: str


class Retracted(_Event, frozen=True, gc=False, tag="retracted"):
    """Somebody took a result out of consideration (or, with `undo`, back in)."""

    trial: int
    why: str
    by: str
    undo: bool = False


class Annotated(_Event, frozen=True, gc=False, tag="annotated"):
    """Somebody added a note or tags to a trial; a tag with an empty value is removed."""

    trial: int
    note: str
    tags: Mapping[str, str]
    by: str


class Edited(_Event, frozen=True, gc=False, tag="edited"):
    """Somebody changed the study: `changes` in the form of `StudySpec.to_dict`."""

    changes: Mapping[str, Any]
    by: str


class StopRequested(_Event, frozen=True, gc=False, tag="stoprequested"):
    """Somebody asked the study to stop: no new trials, running ones get their grace."""

    by: str


class Ended(_Event, frozen=True, gc=False, tag="ended"):
    """The study is over, for now: `why` is a word (``trials``, ``target``), `detail` a sentence."""

    why: str
    detail: str


Event: TypeAlias = (
    Opened
    | Closed
    | Suggested
    | Enqueued
    | Forked
    | Started
    | Reported
    | Asked
    | Finished
    | Requeued
    | Paused
    | Decided
    | Corrected
    | Retracted
    | Annotated
    | Edited
    | StopRequested
    | Ended
)

# -- signals ----------------------------------------------------------------------------------


class Tick(NamedTuple):
    """Time has passed."""

    at: float


class Exited(NamedTuple):
    """An executor says that a trial's job is over.

    `returned` is whatever the objective returned (a number, a mapping of metrics, None for "my last
    report counts"); `reason` is set instead where it did not get that far. `note` is said, and kept with the trial. `blameless`
    says that its machine was lost, or taken away: it is run again, and `retries` does not count that. `asked` are the
    names that the attempt asked for, where the study's space is learned from that and they are known; `tags`, what its
    program wants kept with it.
    """

    at: float
    trial: int
    attempt: int
    returned: Any = None
    reason: Reason | None = None
    cost: Cost = Cost()
    note: str = ""
    blameless: bool = False
    asked: tuple[str, ...] | None = None
    tags: Mapping[str, str] = {}


class Interrupt(NamedTuple):
    """Stop: first drain (running trials get their grace), then, with `now`, kill."""

    at: float
    now: bool = False


Signal: TypeAlias = Tick | Exited | Interrupt

# -- commands ---------------------------------------------------------------------------------


class Write(NamedTuple):
    """Store this event before any other command of the same batch is carried out."""

    event: Event


#: Before any step.
NO_STEP: Final = -(2**63)


class Start(NamedTuple):
    """Run a trial."""

    trial: int
    attempt: int
    config: Config
    study_seed: int
    #: The trial whose checkpoint it starts from, until it has reported anything itself.
    parent: int | None = None
    #: The last step that earlier attempts reported: checkpoints beyond it would leave a gap in the curve.
    #: Before any if this trial has reported none, though others report as they go; None if they do not.
    reported: int | None = None
    #: How parameters were asked for so far, by name, where the space is learned from that: then `config` is what is
    #: known of the values that the trial will ask for. None where the space was declared.
    asked: Mapping[str, Mapping[str, Any]] | None = None
    #: Whether a person gave the values of `config`: one that does not fit is an error.
    given: bool = False

    @property
    def seed(self) -> int:
        """The trial's own seed."""
        return derive_seed(self.study_seed, self.trial, "objective")


class Stop(NamedTuple):
    """End a running trial: at its next report, or by force after `grace_s`.

    The `Exited` that follows carries `reason`.
    """

    trial: int
    reason: Reason
    grace_s: float
    #: Whether to show where a program hangs before it is ended.
    dump: bool = False


class Quit(NamedTuple):
    """Nothing is left to do."""

    why: str
    detail: str


Command: TypeAlias = Write | Start | Stop | Quit
