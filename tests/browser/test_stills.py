"""Live figures where no script runs: each is drawn, with its values and what it says."""

import io
import re
from base64 import b64decode

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from minivit.figures.live import live_figures
from tests.figures.live_data import make
from tools.printing import WIDTH
from tools.stills import put_still

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, device_scale_factor=2)
    yield page
    page.close()


@pytest.mark.parametrize("name", live_figures())
def test_a_live_figure_is_drawn_as_it_stands_at_its_start(page, name):
    soup = BeautifulSoup(make(name).data, "html.parser")
    figure = soup.select_one(".live-figure")
    put_still(page, soup, figure)
    picture = Image.open(io.BytesIO(b64decode(figure.img["src"].partition(",")[2])))
    assert picture.width > WIDTH and len(picture.getcolors(1 << 24)) > 10, "the picture is empty"
    assert len(figure.img["alt"]) > 30 and all(line.text for line in figure.select(".says"))
    assert [line.text for line in figure.select(".slider-value") if not re.match(r".+: .+", line.text)] == []
    order = [part.name for part in figure.find_all(["img", "details"])]
    assert order == ["img", "details"] and figure.select(".says")
