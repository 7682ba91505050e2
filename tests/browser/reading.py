"""How a test reads a live figure and moves its sliders."""

import re

import pytest


def said(page):
    return page.locator(".says").inner_text().replace("\xa0", " ").replace("−", "-")


def numbers(page):
    """Return all numbers below the figure, but those of names."""
    return [float(n.replace(",", "")) for n in re.findall(r"(?<![\w/-])-?\d[\d,]*\.?\d*(?!/)", said(page))]


def put(page, values):
    """Move sliders to positions by the keyboard alone: each to an end, and from there step by step."""
    for label, value in values.items():
        slider = page.get_by_label(label, exact=True)
        low, high, step = (float(slider.get_attribute(name)) for name in ("min", "max", "step"))
        slider.focus()
        steps_up, steps_down = round((value - low) / step), round((high - value) / step)
        page.keyboard.press("Home" if steps_up < steps_down else "End")
        for _ in range(min(steps_up, steps_down)):
            page.keyboard.press("ArrowRight" if steps_up < steps_down else "ArrowLeft")
        assert float(slider.input_value()) == pytest.approx(value)
