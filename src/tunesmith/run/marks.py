"""The environment variables that mark a trial's processes: children inherit them even when they become daemons."""

from __future__ import annotations

from typing import Final

#: The one that marks all processes of a coordinator's session.
SESSION_MARK: Final = "TUNESMITH_SESSION"
#: The one that marks all processes of one attempt of a trial (or of one worker).
ATTEMPT_MARK: Final = "TUNESMITH_ATTEMPT"
