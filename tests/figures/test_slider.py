import base64
import io
import json
import re
import sys

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from minivit.figures import slider_figure

WIDGET = "application/vnd.jupyter.widget-view+json"


def draw(width):
    figure, ax = plt.subplots(figsize=(width, 2))
    ax.plot([0, width])
    return figure


def make(**options):
    return slider_figure(draw, [3, 4, 5], **{"label": "width [in]", "alt": "a line that grows as wide as it is <told>"}
                         | options)


def frames(page):
    urls = json.loads(re.search(r"frames = (\[.*?\]), texts", page).group(1))
    return [Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/webp;base64,")))) for url in urls]


def test_the_page_has_a_frame_a_value_and_shows_the_one_it_starts_with():
    page = make(start=2)._repr_mimebundle_()["text/html"]
    images = frames(page)
    per_inch = images[0].width / 3
    assert [image.width / per_inch for image in images] == pytest.approx([3, 4, 5])
    assert f'src="data:image/webp;base64,{page.split("webp;base64,")[-1].split(chr(34))[0]}"' in page
    assert 'value="2"' in page and "<output>5</output>" in page
    assert 'alt="width [in]: 5. a line that grows as wide as it is &lt;told&gt;"' in page
    assert "http" not in page, "a page must read without a network"
    assert not plt.get_fignums(), "a figure was left open: the notebook would show it twice"


def test_values_are_written_as_asked():
    page = make(text=lambda value: f"{value} </script>")._repr_mimebundle_()["text/html"]
    assert "4 &lt;/script&gt;" in page and page.count("</script>") == 1


def test_in_a_live_kernel_the_slider_changes_the_figure():
    registry = pytest.importorskip("ipywidgets.widgets.widget")
    image, slider = registry._instances[make(start=0)._repr_mimebundle_()[WIDGET]["model_id"]].children
    assert Image.open(io.BytesIO(image.value)).width / 200 == pytest.approx(3)
    slider.value = 2
    assert Image.open(io.BytesIO(image.value)).width / 200 == pytest.approx(5)


def test_without_ipywidgets_the_page_does(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert set(make()._repr_mimebundle_()) == {"text/html", "text/plain"}


def test_with_ipywidgets_7_the_page_does(monkeypatch):
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.delattr(widgets.Widget, "_repr_mimebundle_")
    assert set(make()._repr_mimebundle_()) == {"text/html", "text/plain"}


@pytest.mark.parametrize("values, options, message", [
    ([3], {}, r"values=\[3\] has 1"),
    ([3, 4], {"start": 2}, r"start=2 is not an index in \[0, 2\)"),
    ([3, 4], {"alt": " "}, "alt=' '"),
])
def test_bad_arguments_are_named(values, options, message):
    with pytest.raises(ValueError, match=message):
        slider_figure(draw, values, **{"label": "width", "alt": "a line"} | options)
