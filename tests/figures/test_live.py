import base64
import json
import re
import zlib

import numpy as np
import pytest

from minivit.figures import attention_explorer, live_figure, live_figures, pack_picture
from tests.figures.live_data import DATA, PICTURE, make, trained_maps

NAMES = [*DATA, "attention"]


def values_of(page):
    return json.loads(re.search(r"^const data = (.*);$", page, re.MULTILINE)[1])


def test_all_are_tested():
    assert sorted(NAMES) == live_figures()


@pytest.mark.parametrize("name", NAMES)
def test_a_live_figure_stands_on_its_own(name):
    page = make(name).data
    assert page.count("<script>") == page.count("</script>") == 1 and page.count('class="live-figure"') == 1
    outside = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"src=|href=|http|import |fetch\(", outside)
    assert len(page.encode()) <= 200_000


@pytest.mark.parametrize("name", NAMES)
def test_words_say_what_it_shows_where_scripts_do_not_run(name):
    bundle = make(name)._repr_mimebundle_()
    assert len(bundle["text/plain"].split()) > 50 and not re.search("[<>]|&[a-z]+;", bundle["text/plain"])
    assert "<details" in bundle["text/html"].split("<script>")[0]


def test_values_and_words_are_in_the_page():
    figure = live_figure("temperature", words="Half of <it>.", scores=np.array([0.1, 1 / 3]))
    assert values_of(figure.data) == {"scores": [0.1, 0.333333]}
    assert figure.words.endswith("Half of <it>.") and "<p>Half of &lt;it&gt;.</p>" in figure.data


def test_no_value_ends_the_script():
    page = live_figure("planner", **DATA["planner"] | {"models": {"</script>": 1.0}}).data
    assert page.count("</script>") == 1 and values_of(page)["models"] == {"</script>": 1}


def test_the_explorer_holds_the_picture_and_the_maps():
    maps = trained_maps()
    data = values_of(attention_explorer(PICTURE, maps).data)
    picture = np.frombuffer(base64.b64decode(data["picture"]), np.uint8)
    np.testing.assert_array_equal(picture.reshape(32, 32, 3), PICTURE.transpose(1, 2, 0))
    wanted = np.stack([np.stack(layers) for layers in maps.values()])
    codes = np.frombuffer(zlib.decompress(base64.b64decode(data["packed"])), np.uint8)
    weights = 2.0 ** (-codes.reshape(wanted.shape).astype(float) / data["steps"])
    assert np.abs(np.log2(weights / wanted)).max() <= 0.5001 / data["steps"]
    assert (data["layers"], data["heads"], data["grid"], data["names"]) == (6, 4, 8, ["plain", "CB"])


def test_the_explorer_says_how_dense_each_layer_is():
    words = attention_explorer(PICTURE, {"one": [np.full((2, 5, 5), 0.2), np.full((2, 5, 5), 0.2)]}).words
    assert words.endswith("layer by layer: one 5, 5. Weights are rounded to within 3 %.")


@pytest.mark.parametrize("maps, message", [
    ({"a": [np.full((2, 5, 5), 0.2)], "b": [np.full((1, 5, 5), 0.2)]}, r"\(1, 2, 5, 5\), \(1, 1, 5, 5\)"),
    ({"a": [np.full((2, 5, 4), 0.25)]}, r"\(H, N, N\)"),
    ({"a": [np.full((2, 4, 4), 0.25)]}, "4 tokens are not"),
])
def test_maps_of_other_shapes_are_named(maps, message):
    with pytest.raises(ValueError, match=message):
        attention_explorer(PICTURE, maps)


def test_a_picture_is_bytes_row_by_row():
    packed = base64.b64decode(pack_picture(np.arange(12).reshape(3, 2, 2)))
    assert packed == bytes([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])


@pytest.mark.parametrize("name, data, message", [
    ("softmx", {}, "name='softmx'.*softmax"),
    ("temperature", {}, r"temperature needs the data \['scores'\], not \[\]"),
    ("softmax", {"scores": [1]}, r"softmax needs the data \[\], not \['scores'\]"),
])
def test_a_wrong_name_or_value_is_named(name, data, message):
    with pytest.raises(ValueError, match=message):
        live_figure(name, **data)
