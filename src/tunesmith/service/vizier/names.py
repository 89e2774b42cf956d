"""Names of resources, as both of Vizier's clients have them, and what stands for them here."""

from __future__ import annotations

import base64
import re
from hashlib import blake2b
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from tunesmith.service.problems import Problem

_PARENT: Final = r"owners/[^/]+|projects/[^/]+/locations/[^/]+"
_RESOURCE: Final = re.compile(
    rf"(?P<parent>{_PARENT})(?:/studies/(?P<study>[^/]+)(?:/(?P<kind>trials|operations)/(?P<last>[^/]+))?)?"
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@\-]{0,99}")
_OPERATION: Final = re.compile(r"suggest-([0-9]{1,9})-([A-Za-z0-9_-]*)")
#: The longest name of anything (characters), and the longest way of writing a client's in a session.
LONGEST: Final = 200
_CODED: Final = "client:"


def invalid(message: str) -> Problem:
    return Problem(422, "invalid", message)


class Resource(NamedTuple):
    """What a resource's name says; ``study`` is "" for a parent's, ``trial`` None for a study's."""

    parent: str
    study: str = ""
    trial: int | None = None
    operation: str = ""

    @property
    def vertex(self) -> bool:
        return self.parent.startswith("projects/")

    @property
    def name(self) -> str:
        """That of its study."""
        return f"{self.parent}/studies/{self.study}"


def resource(name: str, kind: str) -> Resource:
    """The resource of a `kind`: parent, study, trial or operation. Raises Problem."""
    match = _RESOURCE.fullmatch(name)
    of_kind = {"trial": "trials", "operation": "operations"}.get(kind)
    if match is None or match["kind"] != of_kind or (match["study"] is None) != (kind == "parent"):
        forms = {
            "parent": "owners/OWNER, or projects/PROJECT/locations/LOCATION",
            "study": "owners/OWNER/studies/STUDY",
            "trial": "owners/OWNER/studies/STUDY/trials/NUMBER",
            "operation": "owners/OWNER/studies/STUDY/operations/OPERATION",
        }
        raise invalid(f"{shortened(name)} names no {kind}: {forms[kind]}, without more slashes")
    if len(name) > 4 * LONGEST:
        raise invalid(f"a resource's name has {4 * LONGEST} characters at most")
    if kind == "trial":
        if not re.fullmatch(r"[0-9]{1,15}", match["last"], re.ASCII) or int(match["last"]) < 1:
            raise invalid(
                f"a trial is named by its number, from 1 on, not {shortened(match['last'])}"
            )
        return Resource(match["parent"], match["study"], int(match["last"]) - 1)
    return Resource(match["parent"], match["study"] or "", None, match["last"] or "")


def shortened(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:99]}…")


def of_new(parent: Resource, display_name: str) -> str:
    """The resource's name of a new study: OSS Vizier's have their own, those of Vertex AI a number."""
    if not display_name:
        raise invalid("a study needs a display_name")
    if len(display_name) > LONGEST:
        raise invalid(f"a display_name has {LONGEST} characters at most")
    if not parent.vertex:
        if "/" in display_name:
            raise invalid("a study's name is a part of its resource's, and has no slash")
        return f"{parent.parent}/studies/{display_name}"
    digest = blake2b(f"{parent.parent}/{display_name}".encode(), digest_size=8).digest()
    return f"{parent.parent}/studies/{int.from_bytes(digest) >> 4}"


def study_names(resource: str, display_name: str) -> tuple[str, str]:
    """What a study is called here: its own name as far as that can be one, or with what tells it from others' like it."""
    plain = re.sub(r"[^A-Za-z0-9_.\-]+", "_", display_name).lstrip("_.-")[:80] or "study"
    return plain, f"{plain}-{blake2b(resource.encode(), digest_size=5).hexdigest()}"


def session_of(client: str) -> str:
    """The session of a client: its own name as far as that can be one."""
    if not client:
        raise invalid(
            "client_id is missing: it says who asks, so that who asks again gets the same"
        )
    if len(client) > LONGEST:
        raise invalid(f"a client_id has {LONGEST} characters at most")
    if _PLAIN.fullmatch(client) and not client.startswith(_CODED):
        return client
    return _CODED + quote(client, safe="")


def client_of(session: str) -> str:
    if session.startswith(_CODED):
        return unquote(session.removeprefix(_CODED))
    return session


def operation_name(study: str, count: int, client: str) -> str:
    """The name of a request for suggestions: all that it takes to make it again."""
    coded = base64.urlsafe_b64encode(client.encode()).decode().rstrip("=")
    return f"{study}/operations/suggest-{count}-{coded}"


def asked_by(operation: str) -> tuple[int, str]:
    """How many suggestions an operation is to bring, and for which client. Raises Problem."""
    match = _OPERATION.fullmatch(operation)
    try:
        if match is None:
            raise ValueError
        padded = match[2] + "=" * (-len(match[2]) % 4)
        return int(match[1]), base64.urlsafe_b64decode(padded).decode()
    except ValueError:  # binascii's and UTF-8's are such
        raise Problem(404, "operation", f"there is no operation {shortened(operation)}") from None
