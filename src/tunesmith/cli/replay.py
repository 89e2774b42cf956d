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
        comparison = replay_study(opened.store, opened.name)
        if json:
            print_json(
                {
                    "proven": comparison.proven,
                    "verdict": comparison.verdict,
                    "suggestions": comparison.suggestions,
                    "decisions": comparison.decisions,
                    "events": comparison.events,
                    "problems": comparison.problems,
                    "rounded": comparison.rounded,
                    "elsewhere": sorted(comparison.elsewhere),
                    "versions": sorted(comparison.versions),
                }
            )
        else:
            typer.echo(
                f"{opened.name}: {comparison.suggestions} suggestions and {comparison.decisions} decisions computed "
                f"again from {comparison.events} events"
            )
            for problem in comparison.problems[:20]:
                typer.echo(f"  differs: {problem}")
            if len(comparison.problems) > 20:
                typer.echo(f"  and {len(comparison.problems) - 20} more")
            if comparison.versions:
                listed = ", ".join(sorted(comparison.versions))
                typer.echo(f"  part of the study was made by tunesmith {listed}")
            if comparison.rounded:
                typer.echo(f"  {len(comparison.rounded)} suggestions differ by rounding")
            if comparison.elsewhere:
                typer.echo(f"  they were made elsewhere: {'; '.join(sorted(comparison.elsewhere))}")
            typer.echo(
                f"all {comparison.verdict}: proven" if comparison.proven else comparison.verdict
            )
    if not comparison.proven:
        raise typer.Exit(errors.FAILED)
