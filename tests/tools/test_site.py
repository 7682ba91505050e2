"""What a site has beside its pages: version, citation, tags, a sitemap and a page for wrong addresses."""

import datetime
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from docutils import nodes
from PIL import Image

from tools import version
from tools.paths import ROOT
from tools.site import CARD, citation, description, draw_card, sitemap, social_tags

CONF = """\
extensions = ["sphinx_book_theme", "tools.site"]
html_theme = "sphinx_book_theme"
templates_path = [{templates!r}]
html_baseurl = {base!r}
"""


@pytest.fixture
def when(monkeypatch):
    def set_to(seconds):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)
        version.date.cache_clear()
    yield set_to
    version.date.cache_clear()


def test_the_date_is_that_of_the_sources(when):
    when("86400")
    assert version.date() == datetime.date(1970, 1, 2) and version.in_words(version.date()) == "2 January 1970"


def test_without_a_history_the_date_is_today(when, tmp_path, monkeypatch):
    when("")
    monkeypatch.setattr(version, "ROOT", tmp_path)
    assert abs(version.date() - datetime.date.today()) <= datetime.timedelta(days=1)


def test_a_citation_names_the_version_and_the_address_if_it_is_known(when):
    when("86400")
    entry = citation("less/lavit", "LaViT", "13", "https://example.org/less/lavit.html")
    assert entry.startswith("@misc{minivit:lavit,") and "{Chapter 13 of Less Attention" in entry
    assert f"version {version.version()}}}" in entry and "{1970}" in entry
    assert "url = {https://example.org/less/lavit.html}" in entry and entry.count("{") == entry.count("}")
    assert "url" not in citation("glossary", "Glossary", "", "")


def test_a_description_is_how_the_page_begins():
    page = nodes.section("", nodes.title("", "Page"), nodes.paragraph("", "word " * 100), ids=["page"])
    about = description(nodes.document(None, None, "", page))
    assert about.startswith("word word") and about.endswith("word …") and len(about) <= 200


def test_tags_and_the_sitemap_escape_what_they_hold():
    assert 'content="&quot;a&quot; &amp; b"' in social_tags('"a" & b', "", "", "")
    (url,) = ElementTree.fromstring(sitemap(["https://example.org/?a&b"]).encode())
    assert url[0].text == "https://example.org/?a&b"


def test_a_card_has_the_size_that_its_tags_say(tmp_path):
    draw_card(tmp_path / "card.png", "A title that is a good deal longer than a single line of the card holds")
    with Image.open(tmp_path / "card.png") as card:
        assert card.size == CARD


@pytest.mark.parametrize("base", ["", "https://example.org/book/"])
def test_only_a_site_with_an_address_has_cards_and_a_sitemap(tmp_path, base):
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    conf = CONF.format(templates=str(ROOT / "book" / "_templates"), base=base)
    (source / "conf.py").write_text(conf, encoding="utf-8")
    (source / "index.rst").write_text("One\n===\n\nThis is what it is about.\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "sphinx", "-q", str(source), str(made)], cwd=ROOT, check=True)
    page, lost = ((made / f"{name}.html").read_text(encoding="utf-8") for name in ("index", "404"))
    assert '<meta name="description" content="This is what it is about." />' in page
    assert "Page not found" in lost
    assert (f'<base href="{base}" />' in lost) == ("og:image" in page) == (made / "sitemap.xml").exists() == bool(base)
    assert (made / "_images" / "card-index.png").exists() == bool(base)


def test_a_style_sheet_that_has_changed_alone_reaches_the_pages(tmp_path):
    source, made = tmp_path / "source", tmp_path / "made"
    sheet = source / "_static" / "own.css"
    sheet.parent.mkdir(parents=True)
    conf = CONF.format(templates=str(ROOT / "book" / "_templates"), base="")
    (source / "conf.py").write_text(f"{conf}html_static_path = ['_static']\nhtml_css_files = ['own.css']\n",
                                    encoding="utf-8")
    (source / "index.rst").write_text("One\n===\n", encoding="utf-8")
    named = []
    for rule in ("p {color: red}", "p {color: blue}"):
        sheet.write_text(rule, encoding="utf-8")
        subprocess.run([sys.executable, "-m", "sphinx", "-q", str(source), str(made)], cwd=ROOT, check=True)
        assert (made / "_static" / "own.css").read_text(encoding="utf-8") == rule
        named += re.findall(r"own\.css\?v=\w+", (made / "index.html").read_text(encoding="utf-8"))
    assert len(set(named)) == 2
