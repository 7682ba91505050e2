import re

import pytest

from tools.teach import PARTS, make_kit


@pytest.fixture
def kit(tmp_path):
    for _, place, *_ in PARTS:
        file = tmp_path / "teach" / place
        if place.startswith("editions"):
            file = tmp_path / place / "attention" / "one & all.ipynb"
        elif not file.suffix:
            file = file / "density" / "density.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
    learner = "editions/learner/attention"
    for place in (f"{learner}/self_attention.ipynb", f"{learner}/images_as_tokens.ipynb", "teach/guide.pdf",
                  "teach/assignments/density.zip"):
        (tmp_path / place).write_bytes(b"")
    return tmp_path


def test_the_page_leads_to_everything_that_was_made(kit):
    page = make_kit(kit / "teach", kit / "editions")
    links = re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8"))
    assert all((kit / "teach" / link.replace("&amp;", "&")).is_file() for link in links)
    assert {"slides/index.html", "guide.html", "guide.pdf", "answers.html", "assignments/density/density.ipynb",
            "editions/learner/attention/one &amp; all.ipynb"} <= set(links)


def test_notebooks_have_their_titles_in_the_order_of_the_book_and_assignments_a_zip(kit):
    page = make_kit(kit / "teach", kit / "editions").read_text(encoding="utf-8")
    names = re.findall(r'href="editions/learner/[^"]+">([^<]+)<', page)
    assert names == ["1. Images as tokens", "2. Self-attention by hand", "one &amp; all"]
    assert re.search(r'density.ipynb">4. How dense, and how sure\?</a> \(<a href="assignments/density.zip">', page)


def test_a_missing_part_is_named_with_its_command(kit):
    (kit / "teach/answers.html").unlink()
    with pytest.raises(FileNotFoundError, match="make answers"):
        make_kit(kit / "teach", kit / "editions")


def test_an_edition_that_is_gone_is_gone_from_the_kit(kit):
    make_kit(kit / "teach", kit / "editions")
    (kit / "editions/learner/attention/one & all.ipynb").rename(kit / "editions/learner/attention/other.ipynb")
    assert "other.ipynb" in make_kit(kit / "teach", kit / "editions").read_text(encoding="utf-8")
    assert not (kit / "teach/editions/learner/attention/one & all.ipynb").exists()
