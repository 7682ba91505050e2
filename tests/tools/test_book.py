"""The settings that `make book` adds: where outputs are, and buttons only where they lead somewhere."""

from pathlib import Path

import pytest
import yaml

from tools.book import configuration

BASE = yaml.safe_load((Path(__file__).resolve().parents[2] / "_config.yml").read_text(encoding="utf-8"))
URL = "https://example.org/someone/book"


def test_outputs_come_from_the_cache_and_errors_stop_the_build():
    execute = configuration(BASE, Path("there"), "")["execute"]
    assert execute["cache"] == "there" and execute["execute_notebooks"] == "cache" and execute["raise_on_error"]


def test_without_a_repository_there_is_no_button():
    config = configuration(BASE, Path("there"), "")
    assert "repository" not in config and "launch_buttons" not in config
    assert not any(key.startswith("use_") for key in config["html"])


@pytest.mark.parametrize("url", [URL, URL + "/"])
def test_with_a_repository_there_are_links_to_it(url):
    config = configuration(BASE, Path("there"), url)
    assert config["repository"] == {"url": URL, "branch": "main", "path_to_book": "book"}
    assert {"binderhub_url", "colab_url"} <= config["launch_buttons"].keys()
    assert config["html"]["use_repository_button"] and config["html"]["use_edit_page_button"]
    assert config["html"]["favicon"] == BASE["html"]["favicon"]


def test_the_base_is_left_as_it_was():
    before = yaml.safe_dump(BASE)
    configuration(BASE, Path("there"), URL)
    assert yaml.safe_dump(BASE) == before
