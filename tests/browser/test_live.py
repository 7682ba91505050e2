"""Live figures in a browser: their numbers are minivit's, and everyone can move their sliders."""

import re
from math import log, sqrt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minivit.bench.plan
from minivit.analysis import attention_macs, break_even_tokens
from minivit.figures import slider_figure
from minivit.scratch import context_broadcast, patchify, softmax, softmax_jacobian_nuclear_norm
from tests.figures.live_data import DATA, LINKS, MANY_SCORES, PICTURE, PLAN, SCORES, SPEEDS, VALUES, make, trained_maps

pytestmark = pytest.mark.browser

NAMES = [*DATA, "attention"]
DARK = "background: #14181e; color: #ced6dd"


@pytest.fixture
def show(browser):
    """Return a function that shows HTML on a page of its own, wide or narrow; the page must not fail or fetch."""
    contexts, faults = [], []

    def show_it(body, width=900, style=""):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, has_touch=True))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if not request.url.startswith("data:") else None)
        page.set_content(f'<!doctype html><html lang="en"><title>A figure</title><body style="{style}"><main><h1>A figure</h1>'
                         f"{body}</main></body></html>")
        return page

    yield show_it
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def figure(show):
    """Return a function that shows a live figure."""
    def show_it(name, **options):
        page = show(make(name).data, **options)
        page.wait_for_selector(".says span")
        return page

    return show_it


def entropy(a):
    return -(a * np.log(a)).sum(axis=-1)


def said(page):
    return page.locator(".says").inner_text().replace("\xa0", " ").replace("−", "-")


def numbers(page):
    """Return all numbers below the figure, but those of names."""
    return [float(n.replace(",", "")) for n in re.findall(r"(?<![\w/-])-?\d[\d,]*\.?\d*", said(page))]


def put(page, label, value):
    """Move a slider to a position by the keyboard alone: to its start, and up step by step."""
    slider = page.get_by_label(label, exact=True)
    low, high, step = (float(slider.get_attribute(name)) for name in ("min", "max", "step"))
    slider.focus()
    near_end = value - low > high - value
    page.keyboard.press("End" if near_end else "Home")
    for _ in range(round(((high - value) if near_end else (value - low)) / step)):
        page.keyboard.press("ArrowLeft" if near_end else "ArrowRight")
    assert float(slider.input_value()) == pytest.approx(value)


def test_softmax_of_three(figure):
    page = figure("softmax")
    for s, scale in (((2.0, 1.0, -1.0), 1.0), ((2.0, -0.5, 3.0), 0.5), ((-4.0, 4.0, -4.0), 4.0)):
        for label, value in zip(("score s₁", "score s₂", "score s₃", "scale λ"), (*s, scale), strict=True):
            put(page, label, value)
        a = softmax(np.array(s), scale)
        norm = scale * softmax_jacobian_nuclear_norm(a)
        assert numbers(page) == pytest.approx([*a, entropy(a), log(3), norm, 2 / 3 * scale], abs=6e-4)


def test_the_dot_of_softmax_can_be_dragged(figure):
    page = figure("softmax")
    box = page.locator(".plots svg").first.bounding_box()
    unit = box["width"] / 340
    page.mouse.move(box["x"] + 100 * unit, box["y"] + 200 * unit)
    page.mouse.down()
    page.mouse.move(box["x"] + 170 * unit, box["y"] + (260 - 130 / sqrt(3)) * unit)  # the middle
    page.mouse.up()
    assert numbers(page)[:3] == pytest.approx([1 / 3] * 3, abs=0.02)


def test_temperature(figure):
    page = figure("temperature")
    for at in (-3, -0.5, 1.5):
        put(page, "scale λ", at)
        a = softmax(SCORES, 2**at)
        bracket = softmax_jacobian_nuclear_norm(a)
        assert numbers(page) == pytest.approx([entropy(a) / log(6), 2**at * bracket, bracket], abs=6e-4)


def test_entropy_against_the_scale(figure):
    page = figure("entropy")
    for at in (-2, 0, 2.5):
        put(page, "scale λ", at)
        nats = entropy(softmax(MANY_SCORES, 2**at))
        assert numbers(page) == pytest.approx([nats, log(65), np.exp(nats), 65, log(65) - nats,
                                               (2**at * MANY_SCORES).var() / 2], rel=1e-3, abs=6e-4)


def mean_cosine(tokens):
    units = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    return (units @ units.T)[~np.eye(len(units), dtype=bool)].mean()


def test_powers_of_context_broadcasting(figure):
    page = figure("averaging")
    start = patchify(PICTURE[None] / 255, 4)
    for k in (0, 3, 12):
        put(page, "times k", k)
        alone = around = start
        for _ in range(k):
            alone, around = context_broadcast(alone), (around + context_broadcast(around)) / 2
        matrix = np.linalg.matrix_power(context_broadcast(np.eye(64)[None])[0], k)
        left = [100 * np.linalg.norm(x - x.mean(1)) / np.linalg.norm(start - start.mean(1)) for x in (alone, around)]
        assert numbers(page) == pytest.approx([left[0], mean_cosine(alone[0]), left[1], mean_cosine(around[0]), matrix[0, 0],
                                               matrix[0, 1]], abs=0.051)
        assert numbers(page)[1::2] == pytest.approx([mean_cosine(alone[0]), mean_cosine(around[0]), matrix[0, 1]], abs=6e-4)
    put(page, "share of the mean", 1)
    assert numbers(page)[0] == 0


@pytest.mark.parametrize("heads, size, at", [(6, 64, 7.615), (3, 64, 5.5), (1, 16, 4), (32, 128, 11)])
def test_break_even(figure, heads, size, at):
    page = figure("break_even")
    for label, value in (("heads H", heads), ("size of a head D", size), ("tokens N", at)):
        put(page, label, value)
    n, dim = round(2**at), heads * size
    va, la = attention_macs("va", n, dim, heads), attention_macs("la", n, dim, heads)
    block = 12 * n * dim**2 + 2 * n**2 * dim
    low, factors = attention_macs("la", n, dim, heads, rank=size // 4), attention_macs("la_factors", n, dim, heads)
    digits = [dim, break_even_tokens(dim, heads), n, va / 1e6, la / 1e6, abs(100 - 100 * la / va), abs(100 * (va - la) / block)]
    found = numbers(page)
    assert found[:7] == pytest.approx(digits, abs=0.051)
    assert found[-3:] == pytest.approx([low / 1e6, factors / 1e6, break_even_tokens(dim, heads, kind="la_factors")], abs=0.0051)
    assert ("saves" in said(page)) == (n < break_even_tokens(dim, heads))


def test_the_planner_plans_as_the_command_does(figure, monkeypatch):
    monkeypatch.setattr(minivit.bench.plan, "memory", lambda *_: ({}, SimpleNamespace(params=1, macs=1)))
    page = figure("planner")
    for gpus, cores, epochs in ((8, 12, 300), (1, 64, 90), (16, 1, 300)):
        for label, value in (("GPUs", np.log2(gpus)), ("cores for each GPU", cores), ("epochs", epochs)):
            put(page, label, value)
        wanted = []
        for speed in SPEEDS.values():
            config = minivit.bench.plan.Config(dataset="imagefolder", epochs=epochs, batch_size=PLAN["batch_size"])
            each = minivit.bench.plan.plan(config, images_per_second=speed, gpus=gpus, decode_per_core=PLAN["per_core"],
                                           cores=cores * gpus, price=PLAN["price"], watts=PLAN["watts"])
            wanted += [each["hours"]["total"], each["energy_kwh"], each["cost"], 100 * each["gpus_wait"]]
        assert numbers(page) == pytest.approx(wanted, abs=0.051)


@pytest.mark.parametrize("p", [2, 4, 7])
def test_the_ring_adds_up(figure, p):
    page = figure("ring")
    put(page, "processes p", p)
    vectors = [np.ones(p) for _ in range(p)]
    for t in range(2 * (p - 1) + 1):
        put(page, "step", t)
        complete = sum(int((vector == p).sum()) for vector in vectors)
        assert numbers(page) == pytest.approx([t, 2 * (p - 1), complete, p * p, t / p, 2 * (p - 1) / p], abs=6e-4)
        sent = [vector[(r - t) % p] for r, vector in enumerate(vectors)]
        for r, chunk in enumerate(sent):
            right, c = (r + 1) % p, (r - t) % p
            vectors[right][c] = chunk + (vectors[right][c] if t < p - 1 else 0)
    assert "done" in said(page)


def share(t, links, p, buckets, slow=False, ring=False):
    """Return the share of computing by equations (7) to (9) of the chapter, bucket by bucket."""
    def around(p, n, alpha, beta):
        return 2 * (p - 1) * (alpha + n / (p * beta))

    n, (alpha, beta) = DATA["computing"]["gradient"] / buckets, links["slow" if slow else "fast"]
    if ring:
        wire = around(p, n, *(links["inside"] if p <= 8 else (alpha, beta)))
    else:
        wire = around(min(p, 8), n, *links["inside"]) + around(max(1, p // 8), n / min(p, 8), alpha, beta / (8 if slow else 1))
    free = 0
    for i in range(1, buckets + 1):  # they queue for the wire
        free = max(free, t / 3 + 2 * t / 3 * i / buckets) + wire
    return 100 * t / free


def test_computing_and_talking(figure):
    page = figure("computing")
    for images, buckets, gpus in ((64, 14, 64), (8, 3, 1024), (512, 64, 2)):
        for label, value in (("images a GPU in a step", log(images, 2)), ("buckets", buckets), ("GPUs to read off", log(gpus, 2))):
            put(page, label, round(value))
        t = images / DATA["computing"]["speed"]
        wanted = [images, 1e3 * t, gpus]
        for way in ({}, {"ring": True}, {"slow": True}):
            wanted += [share(t, LINKS, gpus, 1, **way), share(t, LINKS, gpus, buckets, **way), buckets]
        assert numbers(page) == pytest.approx(wanted, abs=0.051)


def test_patches(figure):
    page = figure("patches")
    for i, p in enumerate((1, 2, 4, 8, 16, 32)):
        put(page, "patch size P [pixels]", i)
        tokens = patchify(PICTURE[None], p)
        assert numbers(page) == [tokens.shape[1], tokens.shape[2], tokens.shape[1] ** 2]


def test_softmax_over_keys_that_arrive(figure):
    page = figure("online")
    final = softmax(MANY_SCORES) @ VALUES
    for n in (1, 20, 65):
        put(page, "keys read", n)
        s = MANY_SCORES[:n]
        off = np.abs(softmax(s) @ VALUES[:n] - final).max()
        assert numbers(page) == pytest.approx([s.max(), np.exp(s - s.max()).sum(), off], abs=6e-4)


def test_the_explorer_shows_where_heads_look(figure):
    page, maps = figure("attention"), trained_maps()
    for row, column, layer, head in ((4, 4, 6, 1), (1, 8, 1, 4), (8, 3, 5, 2)):
        for label, value in (("row of the patch", row), ("column of the patch", column), ("layer", layer), ("head", head)):
            put(page, label, value)
        for line, layers in zip(said(page).splitlines()[1:], maps.values(), strict=True):
            a = layers[layer - 1][head - 1, (row - 1) * 8 + column].double().numpy()
            effective, most, on_class = (float(n) for n in re.findall(r"(\d+\.\d) (?:effective|%)", line))
            assert effective == pytest.approx(np.exp(entropy(a)), rel=0.03)
            for shown, weight in ((most, 100 * a.max()), (on_class, 100 * a[0])):  # within 9 %, and rounded
                assert shown == pytest.approx(weight, abs=0.051 + 0.11 * weight)


def test_a_patch_is_chosen_by_pointer_touch_and_arrow_keys(figure):
    page = figure("attention")
    picture = page.get_by_role("application")
    box = picture.bounding_box()

    def middle_of(row, column):
        return box["x"] + (column - 0.5) * box["width"] / 8, box["y"] + (row - 0.5) * box["height"] / 8

    page.mouse.move(*middle_of(2, 7))
    assert said(page).startswith("The patch in row 2, column 7")
    page.touchscreen.tap(*middle_of(5, 1))
    assert said(page).startswith("The patch in row 5, column 1")
    picture.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert said(page).startswith("The patch in row 4, column 3")
    assert "row 4, column 3" in picture.get_attribute("aria-label")
    page.get_by_role("button", name="class token").click()
    assert said(page).startswith("The class token looks")


@pytest.mark.parametrize("name", NAMES)
def test_each_slider_by_mouse_touch_and_keyboard_tells_its_value(figure, name):
    page = figure(name)
    for slider in page.get_by_role("slider").all():
        box, told = slider.bounding_box(), [slider.get_attribute("aria-valuetext")]
        middle = box["y"] + box["height"] / 2
        page.mouse.click(box["x"] + 0.97 * box["width"], middle)
        told.append(slider.get_attribute("aria-valuetext"))
        page.touchscreen.tap(box["x"] + 0.5 * box["width"], middle)
        told.append(slider.get_attribute("aria-valuetext"))
        slider.focus()
        page.keyboard.press("Home")
        told.append(slider.get_attribute("aria-valuetext"))
        assert len({*told[1:]}) == 3 and all(told)
    before = page.locator(".told").inner_text()
    page.wait_for_timeout(900)
    assert page.locator(".told").inner_text() not in ("", before), "a screen reader hears what the figure says"


@pytest.mark.parametrize("name", NAMES)
def test_the_description_of_a_plot_follows_the_sliders(figure, name):
    page = figure(name)
    drawings = page.locator(".plots [aria-label]")
    before = [drawing.get_attribute("aria-label") for drawing in drawings.all()]
    for slider in page.get_by_role("slider").all():
        slider.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
    assert any(a != b.get_attribute("aria-label") for a, b in zip(before, drawings.all(), strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width, style", [(360, ""), (360, DARK), (900, DARK)])
def test_it_fits_and_is_open_to_everyone(figure, name, width, style):
    page = figure(name, width=width, style=style)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".live-figure.dark").count() == (style == DARK)
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(axe)
    found = page.evaluate("() => axe.run({resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})")
    assert [fault["id"] for fault in found["violations"] if fault["impact"] in ("serious", "critical")] == []


def test_without_scripts_the_words_are_open(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(make("ring").data)
    assert page.get_by_text("each sends less than two vectors").is_visible()
    context.close()


def test_two_of_a_kind_do_not_disturb_each_other(show):
    page = show(make("ring").data + make("ring").data)
    page.get_by_label("step", exact=True).first.focus()
    page.keyboard.press("End")
    first, second = (part.inner_text() for part in page.locator(".says").all())
    assert "done" in first and "done" not in second


def test_a_figure_with_stored_frames_tells_what_it_shows(show):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    page = show(slider_figure(lambda n: plt.figure(figsize=(n, 1)), [1, 2, 3], label="width", alt="A blank.",
                              text=lambda n: f"{n} in")._repr_mimebundle_()["text/html"])
    assert page.get_by_role("img").get_attribute("alt") == "width: 2 in. A blank."
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("img").get_attribute("alt") == "width: 3 in. A blank."
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == "3 in"
