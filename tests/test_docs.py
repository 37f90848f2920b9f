"""The code blocks of the README and of docs/ run, top to bottom, each page in a folder and a store of its own."""

import linecache
import re
from pathlib import Path

import pytest

import nbflow as nf

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_code_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dask_client: object
) -> None:
    monkeypatch.chdir(tmp_path)
    nf.connect(f"sqlite:///{tmp_path}/nbflow.sqlite")
    names = {"__name__": "__main__"}
    for number, block in enumerate(blocks(page)):
        where = f"{page.name} block {number}"
        linecache.cache[where] = (len(block), None, block.splitlines(keepends=True), where)  # as IPython does
        exec(compile(block, where, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
