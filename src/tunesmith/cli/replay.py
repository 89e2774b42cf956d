"""`tunesmith replay`: recompute a study's decisions from its events."""

from __future__ import annotations

import typer

from tunesmith.cli import errors
from tunesmith.cli.arguments import AllowImport, Json, Storage, StudyName, allow_imports


def replay(
    study: StudyName = None,
    storage: Storage = None,
    json: Json = False,
    allow_import: AllowImport = None,
) -> None:
    """Compute every suggestion and decision of a study again, and say whether they are the same.

    Also checks that nothing in the store was changed after it was written. On another processor, or with other
    libraries, some may differ by rounding: that is no fault.
    """
    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import print_json
    from tunesmith.tuning.replay import replay as replay_study

    allow_imports(allow_import)
    with open_study(study, storage) as opened:
        found = replay_study(opened.store, opened.name)
        if json:
            print_json(
                {
                    "proven": found.proven,
                    "verdict": found.verdict,
                    "suggestions": found.suggestions,
                    "decisions": found.decisions,
                    "events": found.events,
                    "problems": found.problems,
                    "rounded": found.rounded,
                    "elsewhere": sorted(found.elsewhere),
                    "versions": sorted(found.versions),
                }
            )
        else:
            typer.echo(
                f"{opened.name}: {found.suggestions} suggestions and {found.decisions} decisions computed "
                f"again from {found.events} events"
            )
            for problem in found.problems[:20]:
                typer.echo(f"  differs: {problem}")
            if len(found.problems) > 20:
                typer.echo(f"  and {len(found.problems) - 20} more")
            if found.versions:
                listed = ", ".join(sorted(found.versions))
                typer.echo(f"  part of the study was made by tunesmith {listed}")
            if found.rounded:
                typer.echo(f"  {len(found.rounded)} suggestions differ by rounding")
            if found.elsewhere:
                typer.echo(f"  they were made elsewhere: {'; '.join(sorted(found.elsewhere))}")
            typer.echo(f"all {found.verdict}: proven" if found.proven else found.verdict)
    if not found.proven:
        raise typer.Exit(errors.FAILED)
