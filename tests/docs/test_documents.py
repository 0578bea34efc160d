"""Examples in the documents are parsed by the code that they speak of; links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from redoubt.archive.segment import PieceIdentity, SegmentHeader
from redoubt.cli.main import app
from redoubt.config import Config
from redoubt.sql.parser import parse

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def test_the_configuration_example_is_the_default() -> None:
    """Every value of the example is what holds without a file."""
    text = (ROOT / "docs" / "CONFIGURATION.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None

    assert Config.model_validate(tomllib.loads(example[1])) == Config()


def test_the_statements_of_the_readme_are_ours() -> None:
    """What is typed at the prompt parses."""
    typed = re.findall(r"\]> (ALTER SYSTEM .*?;)", (ROOT / "README.md").read_text())

    assert len(typed) == 5
    assert all(parse(statement) is not None for statement in typed)


def test_every_command_is_described() -> None:
    """docs/CLI.md has a row for each command."""
    text = (ROOT / "docs" / "CLI.md").read_text()

    for command in app.registered_commands:
        assert command.callback is not None
        assert f"| `redoubt {command.name or command.callback.__name__}" in text


def test_every_header_field_is_described() -> None:
    """docs/FORMAT.md names each field of a segment's header."""
    text = (ROOT / "docs" / "FORMAT.md").read_text()

    for field in {**PieceIdentity.__dataclass_fields__, **SegmentHeader.__dataclass_fields__}.keys() - {"of"}:
        assert f"`{field}`" in text


def _anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A relative link names a file that is there, and a heading in it."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)", document.read_text()):
        name, _, anchor = target.partition("#")
        linked = document.parent / name if name else document
        assert linked.exists(), target
        assert not anchor or anchor in _anchors(linked), target
