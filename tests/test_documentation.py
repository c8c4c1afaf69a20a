"""What the pages for users and newcomers name is there."""

import re
from pathlib import Path

import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import text

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "hpcbrew/README.md", "engine/README.md")
PLACES = re.compile(r"`((?:hpcbrew|engine|tests|templates|configs|scripts)/[\w./*-]*)`")
LAYERS = re.compile(r"```protobuf\n(.*?)```", re.DOTALL)
MODELS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs" / "models").glob("**/*.md"))
LINKS = re.compile(r"\]\(([^)#:]*)(?:#([\w-]+))?\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_that_a_page_names_is_there(page: str) -> None:
    named = PLACES.findall((ROOT / page).read_text())
    assert [place for place in named if not list(ROOT.glob(place.rstrip("/")))] == []


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page, in addresses."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *MODELS])
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    links = LINKS.findall((ROOT / page).read_text())
    pages = {link: (ROOT / page).parent / link if link else ROOT / page for link, _ in links}
    assert [link for link, there in pages.items() if not there.exists()] == []
    assert [(link, anchor) for link, anchor in links if anchor and anchor not in anchors(pages[link])] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_layer_in_a_page_can_be_read(page: str) -> None:
    for block in LAYERS.findall((ROOT / page).read_text()):
        text.parse(block, pb.NetParameter)


@pytest.mark.parametrize("package", ["hpcbrew", "engine"])
def test_a_package_s_page_names_every_room(package: str) -> None:
    page = (ROOT / package / "README.md").read_text()
    rooms = sorted(path.parent.name for path in (ROOT / package).glob("*/__init__.py"))
    assert [room for room in rooms if f"`{room}`" not in page] == []
