"""A job: what was asked for, and how it stands; kept as a file of its own, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from tunesmith.core.errors import TransitionError
from tunesmith.files import drafted

State: TypeAlias = Literal["queued", "running", "ended", "failed", "cancelled"]

#: From each state to which others. A running job whose process was lost waits again.
MOVES: Final[dict[State, tuple[State, ...]]] = {
    "queued": ("running", "failed", "cancelled"),
    "running": ("queued", "ended", "failed", "cancelled"),
    "ended": (),
    "failed": (),
    "cancelled": (),
}
OVER: Final[tuple[State, ...]] = ("ended", "failed", "cancelled")


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How and where a job's programs run; nothing: with the Python that the service runs with."""

    #: The path of another Python, where the service runs.
    python: str | None = None
    #: A requirements file among those sent: a virtual environment is made and these are installed in it.
    requirements: str | None = None
    #: An image, which has tunesmith: everything runs in a container of it; and what that may use at most.
    container: str | None = None
    memory: str | None = None
    cpus: float | None = None
    #: Whether the study is shared with others, who run the same with --join.
    join: bool = False


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was asked for, and how it stands."""

    id: str
    study: str
    file: str
    submitted_at: float
    #: Who asked: the token's id and name; and the key under which asking again is the same, with what was asked.
    token: str
    by: str
    key: str = ""
    asked: str = ""
    environment: Environment = Environment()
    #: The options of a recipe for the table `file`; None for a job file.
    fit: dict[str, str | int | float | list[str]] | None = None
    state: State = "queued"
    #: Why it is in this state, in words.
    why: str = ""
    #: How often it was started, and where it was told that the service is.
    attempt: int = 0
    url: str = ""
    #: How often at a stretch an attempt was lost.
    lost: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    exit: int | None = None
    #: Why it is to be cancelled, if it is.
    cancelling: str = ""

    @property
    def results(self) -> str:
        """The folder, in the job's own, of what it leaves."""
        return "trials" if self.fit is None else "model"

    @property
    def over(self) -> bool:
        return self.state in OVER

    def moved(self, state: State, why: str, **more: object) -> Job:
        """The job in another state. Raises TransitionError."""
        if state not in MOVES[self.state]:
            raise TransitionError(f"job {self.id} is {self.state}; it cannot become {state}")
        return msgspec.structs.replace(self, state=state, why=why, **more)


def write(folder: Path, job: Job) -> None:
    """Keep `job` in its folder. Raises OSError."""
    with drafted(folder / "job.json") as draft, draft.open("wb") as file:
        file.write(msgspec.json.encode(job))
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Job:
    """Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
