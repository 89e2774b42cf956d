"""HTML of a notebook's cell: figures and tables with styles of their own, without a script, from nowhere else.

Colours follow the notebook's (JupyterLab, VS Code), by day and by night.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable
from typing import Final

from tunesmith.analysis import svg
from tunesmith.analysis.style import Figure, plain

#: Width at which a figure is drawn; a narrower cell scales it down.
WIDTH: Final = 640

_VARIABLES: Final = """
 --paper: var(--jp-layout-color0, var(--vscode-editor-background, #ffffff));
 --ink: var(--jp-content-font-color1, var(--vscode-editor-foreground, #1d2430));
 --soft: var(--jp-content-font-color2, var(--vscode-descriptionForeground, #566070));
 --line: var(--jp-border-color2, var(--vscode-panel-border, #d5dae0));
 --blue: #2f7fc8; --orange: #d9731a; --green: #17936f; --purple: #a45fb5; --red: #cf4436; --grey: #8a919c;"""
_STYLE: Final = f"""
.tunesmith {{{_VARIABLES}
 color: var(--ink); max-width: {WIDTH + 40}px; font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
.tunesmith p {{ margin: 4px 0; }}
.tunesmith .lead {{ font-size: 16px; font-weight: 650; }}
.tunesmith .soft {{ color: var(--soft); font-size: 13px; }}
.tunesmith table {{ border-collapse: collapse; margin: 6px 0; font-variant-numeric: tabular-nums; }}
.tunesmith th, .tunesmith td {{ text-align: left; padding: 2px 16px 2px 0; border: 0; border-bottom: 1px solid var(--line);
 background: none; overflow-wrap: anywhere; }}
.tunesmith figure {{ margin: 12px 0 4px; }}
.tunesmith figcaption {{ font-weight: 650; }}
.tunesmith svg[role] {{ width: 100%; height: auto; display: block; }}
.tunesmith svg text {{ font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--soft); }}
.tunesmith svg text.title, .tunesmith svg text.halo {{ fill: var(--ink); }}
.tunesmith .grid {{ stroke: var(--line); stroke-width: 1; fill: none; }}
.tunesmith .axis {{ stroke: var(--grey); stroke-width: 1; fill: none; }}
.tunesmith .whisker {{ stroke: var(--ink); stroke-width: 1.4; fill: none; opacity: 0.75; }}
.tunesmith .legend {{ display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--soft); }}
.tunesmith .key {{ display: inline-flex; align-items: center; gap: 6px; }}
.tunesmith progress {{ width: 240px; vertical-align: middle; accent-color: var(--green); }}
"""


def fragment(parts: Iterable[str]) -> str:
    """The parts with the style that they need; whatever stands in them is HTML already."""
    return f'<div class="tunesmith"><style>{_STYLE}</style>{"".join(parts)}</div>'


def paragraph(words: object, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f"<p{name}>{html.escape(str(words))}</p>"


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and values."""
    body = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table><tbody>{body}</tbody></table>" if body else ""


def drawing(figure: Figure) -> str:
    """A figure with its title and legend. Its marks refer to nothing outside, as cells share one page."""
    digest = hashlib.sha256(json.dumps(figure, sort_keys=True, default=str).encode())
    number = int(digest.hexdigest()[:12], 16)
    title = html.escape(plain(figure["layout"]["title"]["text"]))
    return (
        f"<figure><figcaption>{title}</figcaption>{svg.legend(figure)}"
        f"{svg.draw(figure, WIDTH, number)}</figure>"
    )
