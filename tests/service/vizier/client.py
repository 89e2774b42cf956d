"""OSS Vizier's own client, as its users have it."""

from __future__ import annotations

from typing import Any

from tests.service.vizier.conftest import Door
from vizier.service import clients
from vizier.service import pyvizier as vz


def config(algorithm: str = "RANDOM_SEARCH", **metrics: Any) -> Any:
    """A study of one number and one metric, or others: a goal, or a goal and a safety threshold."""
    made = vz.StudyConfig(algorithm=algorithm)
    made.search_space.root.add_float_param("x", 0.0, 1.0)
    for name, goal in (metrics or {"loss": "MINIMIZE"}).items():
        named, *bound = [goal] if isinstance(goal, str) else goal
        more = {"safety_threshold": bound[0]} if bound else {}
        made.metric_information.append(
            vz.MetricInformation(name, goal=vz.ObjectiveMetricGoal[named], **more)
        )
    return made


def study(door: Door, name: str, wanted: Any = None, owner: str = "ana") -> Any:
    """A study, made or loaded."""
    clients.environment_variables.server_endpoint = door.endpoint
    wanted = config() if wanted is None else wanted
    return clients.Study.from_study_config(wanted, owner=owner, study_id=name)
