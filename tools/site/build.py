"""Build the documentation site into build/site/html, and check it: ``tools/environment site``, then

    .venv-site/bin/python tools/site/build.py

The Markdown of the repository is copied to build/site/pages, with links that lead to where things are on the site, and
figures drawn where it says ``<!-- figure: NAME -->`` (see gallery.py). Then Zensical makes HTML of it. What is wrong
ends the build: a warning, a link or an anchor that leads nowhere, anything that a page would load from another host.
"""

from __future__ import annotations

import fnmatch
import html.parser
import json
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ruamel.yaml import YAML

import gallery
from tunesmith.analysis.page import HOVER

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
BUILD: Final = ROOT / "build" / "site"
PAGES: Final = BUILD / "pages"
HTML: Final = BUILD / "html"

#: What is on the site, and where: all else that a page links to becomes a page that shows the file.
SOURCES: Final = {
    "docs": "",
    "benchmarks": "benchmarks",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
#: Of these folders that is copied, and nothing else.
KINDS: Final = (".md", ".svg", ".png")

FENCE: Final = re.compile(r"^( *)(`{3,}|~{3,})(.*)$")
LINK: Final = re.compile(r"(\]\()([^)\s]+)(\))")
FIGURE: Final = re.compile(r"^<!-- figure: ([\w-]+) -->$")
#: What a block's options are for in tests (conftest.py) is not for readers; a name under which it is saved is.
SAVED: Final = re.compile(r"\bsave=(\S+)")
#: Names of languages that Pygments does not have: examples that tests leave alone are ``yml``.
LANGUAGES: Final = {"": "text", "yml": "yaml"}


class Site:
    """The pages as they are written; `places` has each file of the repository that is on the site, and its place."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {"README.md": "index.md"}
        for source, target in SOURCES.items():
            path = ROOT / source
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                if file.suffix in KINDS and not ignored(file):
                    inside = file.relative_to(path).as_posix().lower() if path.is_dir() else ""
                    place = posixpath.join(target, inside).rstrip("/")
                    self.places[file.relative_to(ROOT).as_posix()] = place
        self.places |= {f"docs/{name}": name for name in gallery.write(PAGES)}
        self.places["docs/decisions"] = "decisions/index.md"
        self.places["docs/recipes"] = "recipes/index.md"
        #: Files that pages link to, and that are shown as pages.
        self.shown: dict[str, str] = {}
        self.problems: list[str] = []

    def write(self) -> None:
        for source, target in list(self.places.items()):
            file, into = ROOT / source, PAGES / target
            into.parent.mkdir(parents=True, exist_ok=True)
            if source == "README.md" or not file.is_file():  # the home page, and what is made
                continue
            if file.suffix == ".md":
                into.write_text(self.page(source, file.read_text()))
            else:
                shutil.copyfile(file, into)
        decisions = [p for p in self.places if p.startswith("docs/decisions/")]
        lines = [f"- [{title(ROOT / p)}]({posixpath.basename(p)})\n" for p in sorted(decisions)]
        into = PAGES / "decisions" / "index.md"
        into.write_text(
            "# Decisions\n\nWhy things are as they are: what was decided, what was measured, and what was "
            f"tried and not taken.\n\n{''.join(lines)}"
        )
        for source, target in self.shown.items():
            into = PAGES / target
            into.parent.mkdir(parents=True, exist_ok=True)
            kind = {".py": "python", ".yaml": "yaml", ".sh": "sh", ".mjs": "js"}
            code = kind.get(posixpath.splitext(source)[1], "text")
            text = (ROOT / source).read_text()
            into.write_text(
                f"# {posixpath.basename(source)}\n\n`{source}`\n\n````{code}\n{text}\n````\n"
            )

    def page(self, source: str, text: str) -> str:
        """The page as Zensical takes it: blocks without options, links within the site, figures in their places."""
        lines, fence = [], ""
        for number, line in enumerate(text.splitlines(), 1):
            found = FENCE.match(line)
            if fence:
                if found and found[2].startswith(fence) and not found[3].strip():
                    fence = ""
            elif found:
                fence = found[2]
                line = block(found)
            elif figure := FIGURE.match(line):
                drawn = gallery.figures().get(figure[1])
                if drawn is None:
                    self.problems.append(f"{source}:{number}: there is no figure {figure[1]!r}")
                lines.append(drawn or "")
                continue
            else:
                line = self.links(source, number, line)
            lines.append(line)
        return "\n".join(lines) + "\n"

    def links(self, source: str, number: int, line: str) -> str:
        return LINK.sub(lambda m: f"{m[1]}{self.link(source, number, m[2])}{m[3]}", line)

    def link(self, source: str, number: int, target: str) -> str:
        """Where a link of a page leads on the site, from that page's place."""
        path, mark, anchor = target.partition("#")
        if not path or urlsplit(target).scheme:
            return target
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if wanted not in self.places:
            if not (ROOT / wanted).is_file():
                self.problems.append(f"{source}:{number}: {target} leads to nothing")
                return target
            self.shown[wanted] = self.places[wanted] = f"files/{wanted}.md"
        here = posixpath.dirname(self.places[source])
        return posixpath.relpath(self.places[wanted], here or ".") + mark + anchor


def ignored(file: Path) -> bool:
    """Whether something that git ignores lies there: an environment, a cache."""
    return any(part.startswith(".") for part in file.relative_to(ROOT).parts)


def block(found: re.Match[str]) -> str:
    """The first line of a block of code: its language, and the name under which it is saved."""
    indent, fence, info = found.groups()
    language, _, options = info.strip().partition(" ")
    saved = SAVED.search(options)
    heading = f' title="{saved[1]}"' if saved else ""
    return f"{indent}{fence}{LANGUAGES.get(language, language)}{heading}"


def title(file: Path) -> str:
    return file.read_text().partition("\n")[0].removeprefix("# ")


def navigation(entries: list[Any], places: set[str]) -> list[Any]:
    """The lists of site.yml with "folder/*" filled in, the narrowest pattern first."""
    named: set[str] = set()
    patterns: list[str] = []

    def look(entry: Any) -> None:
        if isinstance(entry, str):
            if "*" in entry:
                patterns.append(entry)
            else:
                named.add(entry)
        for inner in entry.values() if isinstance(entry, dict) else ():
            for one in inner if isinstance(inner, list) else [inner]:
                look(one)

    for entry in entries:
        look(entry)
    matches: dict[str, list[str]] = {}
    for pattern in sorted(patterns, key=len, reverse=True):
        matches[pattern] = sorted(p for p in places - named if fnmatch.fnmatch(p, pattern))
        named.update(matches[pattern])

    def fill(entry: Any) -> list[Any]:
        if isinstance(entry, str):
            return list(matches[entry]) if "*" in entry else [entry]
        ((name, inner),) = entry.items()
        return [
            {name: [o for one in inner for o in fill(one)] if isinstance(inner, list) else inner}
        ]

    return [one for entry in entries for one in fill(entry)]


class Links(html.parser.HTMLParser):
    """What a page has: its anchors, where it leads, and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = {""}
        self.leads: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(
            v for n, v in given.items() if n == "id" or (tag == "a" and n == "name")
        )
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.loads.append(given.get("href", ""))
        elif tag in ("img", "script", "source", "iframe", "video", "object", "embed"):
            self.loads += [given[name] for name in ("src", "data") if name in given]


def faults() -> Iterator[str]:
    """What is wrong with the HTML: links, anchors and files that are not there, and what comes from elsewhere."""
    pages: dict[Path, Links] = {}
    for file in sorted(HTML.rglob("*.html")):
        pages[file] = Links()
        pages[file].feed(file.read_text())
    for file, found in pages.items():
        name = file.relative_to(HTML)
        for target in found.loads:
            if urlsplit(target).scheme not in ("", "data") or target.startswith("//"):
                yield f"{name}: loads {target}"
        for target in {*found.leads, *found.loads}:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            base = HTML if name == Path("404.html") or parts.path.startswith("/") else file.parent
            path = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else file
            path = path / "index.html" if path.is_dir() else path
            if not path.is_file():
                yield f"{name}: {target} leads to nothing"
            elif path in pages and unquote(parts.fragment) not in pages[path].anchors:
                yield f"{name}: {target}: there is no such anchor"
    for file in sorted(HTML.rglob("*.css")):
        for target in re.findall(
            r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']+)", file.read_text()
        ):
            yield f"{file.relative_to(HTML)}: loads {target}"


def main() -> int:
    shutil.rmtree(BUILD, ignore_errors=True)
    PAGES.mkdir(parents=True)
    site = Site()
    site.write()
    shutil.copyfile(HERE / "style.css", PAGES / "style.css")
    (PAGES / "figures.js").write_text(f"(() => {{{HOVER}}})();\n")
    mark = ROOT / "src" / "tunesmith" / "service" / "page" / "static" / "icon.svg"
    shutil.copyfile(mark, PAGES / "mark.svg")
    config = YAML(typ="safe").load(HERE / "site.yml")
    config["nav"] = navigation(
        config["nav"], {p for p in site.places.values() if p.endswith(".md")}
    )
    (BUILD / "mkdocs.yml").write_text(json.dumps(config, indent=1))  # JSON is YAML
    if not site.problems:
        command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
        run = subprocess.run(
            command,
            cwd=BUILD,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if run.returncode or "arning" in run.stdout:
            site.problems.append(run.stdout)
        else:
            site.problems += faults()
    for problem in site.problems:
        print(problem, file=sys.stderr)
    if not site.problems:
        print(f"{len(list(HTML.rglob('*.html')))} pages in {HTML.relative_to(ROOT)}")
    return 1 if site.problems else 0


if __name__ == "__main__":
    sys.exit(main())
