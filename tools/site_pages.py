"""A hook of MkDocs: pages that stand outside docs/ become pages of the site, and links follow."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

OUTSIDE = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "example_project/README.md": "example.md",
    "example_project/HISTORY.md": "example-history.md",
    "CHANGELOG.md": "changelog.md",
}
"""Path in the repository, and in the site."""

_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?=[)#])")
_INSIDE = {site: path for path, site in OUTSIDE.items()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside."""
    root = Path(config.config_file_path).parent
    for path, site in OUTSIDE.items():
        files.append(File.generated(config, site, content=(root / path).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links at where a page stands in the site."""
    site = page.file.src_uri
    folder = posixpath.dirname(_INSIDE.get(site, f"docs/{site}"))

    def moved(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match["path"]))
        target = OUTSIDE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        return posixpath.relpath(target, posixpath.dirname(site) or ".") if target else match[0]

    return _LINK.sub(moved, markdown)
