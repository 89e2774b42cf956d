"""Names: of the training jobs of a tuning job, of parameters, of resources."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from tunesmith.core.space.space import RELATIONS

_TRAINING: Final = re.compile(r"(.{1,32})-(\d{3,})-([0-9a-f]{8})")
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:\d{12}:(hyper-parameter-tuning-job|training-job)/(.+)"
)
TUNING: Final = "hyper-parameter-tuning-job"
TRAINING: Final = "training-job"


class Member(NamedTuple):
    """A training of a tuning job, by its name: the trial's number."""

    tuning: str
    number: int
    digest: str


def training_name(tuning: str, identity: str, number: int) -> str:
    """What the training of a trial is called; `identity` tells a tuning job from an earlier one of its name."""
    return f"{tuning}-{number + 1:03d}-{_digest(identity, number)}"


def _digest(identity: str, number: int) -> str:
    return blake2b(f"{identity}/{number}".encode(), digest_size=4).hexdigest()


def member_of(name: str) -> Member | None:
    """Which training of which tuning job this may be the name of."""
    match = _TRAINING.fullmatch(name)
    return None if match is None else Member(match[1], int(match[2]) - 1, match[3])


def is_member(member: Member, identity: str) -> bool:
    return member.number >= 0 and member.digest == _digest(identity, member.number)


def arn(kind: str, name: str, region: str, account: str) -> str:
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name}"


def named_by(text: str) -> tuple[str, str] | None:
    """The kind and the name of what an ARN stands for."""
    match = _ARN.fullmatch(text)
    return None if match is None else (match[1], match[2])


def parameter_names(names: Iterable[str], prefix: str = "") -> dict[str, str]:
    """By name of a parameter in a study, which has letters, digits and '_' in it: the hyperparameter's."""
    taken: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = f"{prefix}{plain}" if prefix else plain
        if not re.match(r"[A-Za-z_]", plain) or plain == RELATIONS:
            plain = f"_{plain}"
        free, number = plain, 2
        while free in taken:
            free, number = f"{plain}_{number}", number + 1
        taken[free] = name
    return taken
