"""A figure with a slider: drawn once for each value, like the frames of a film that the reader moves by hand.

The cell's output has two forms. Where widgets work, a slider of ipywidgets switches between the frames. Everywhere else
(in a stored notebook, on a page of the book, in a file without a network), a plain HTML slider does the same.
"""

import base64
import html
import io
import json
from collections.abc import Callable, Sequence
from string import Template
from typing import Any

PAGE = Template("""\
<div class="slider-figure" style="max-width: ${width}px; margin: auto">
<img alt="$label: $text. $alt" src="$shown" style="width: 100%; background: white">
<label style="display: flex; gap: 0.8em; align-items: center; flex-wrap: wrap; color: inherit">$label
<input type="range" min="0" max="$last" value="$start" aria-valuetext="$text" style="flex: 1; min-width: 8em">
<output>$text</output>
</label>
<script>
(() => {
  const figure = document.currentScript.parentElement;
  const [slider, output, image] = ["input", "output", "img"].map((name) => figure.querySelector(name));
  const frames = $frames, texts = $texts, alt = $alt_text, name = $name;
  slider.addEventListener("input", () => {
    image.src = frames[slider.value];
    output.textContent = texts[slider.value];
    slider.setAttribute("aria-valuetext", texts[slider.value]);
    image.alt = [name, ": ", texts[slider.value], ". ", alt].join("");
  });
})();
</script>
</div>""")


class SliderFigure:
    """What :func:`slider_figure` returns; IPython shows it at the end of a cell."""

    def __init__(self, frames: Sequence[bytes], width: int, label: str, texts: Sequence[str], start: int, alt: str):
        self.frames, self.width, self.label, self.texts, self.start, self.alt = frames, width, label, texts, start, alt

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {**self._widget(), "text/html": self._html(), "text/plain": f"A figure with a slider: {self.label}"}

    def _html(self) -> str:
        urls = ["data:image/webp;base64," + base64.b64encode(frame).decode() for frame in self.frames]
        return PAGE.substitute(
            alt=html.escape(self.alt), shown=urls[self.start], width=self.width, label=html.escape(self.label),
            last=len(urls) - 1, start=self.start, text=html.escape(self.texts[self.start]), frames=json.dumps(urls),
            texts=_script(list(self.texts)), alt_text=_script(self.alt), name=_script(self.label))

    def _widget(self) -> dict[str, Any]:
        try:
            import ipywidgets as widgets
        except ImportError:  # the plain slider is enough
            return {}
        if not hasattr(widgets.Widget, "_repr_mimebundle_"):  # ipywidgets 7, as on Colab: it can't hand out its form
            return {}
        slider = widgets.SelectionSlider(
            options=[(text, i) for i, text in enumerate(self.texts)], value=self.start, description=self.label,
            style={"description_width": "initial"}, layout={"width": "28em", "max_width": "100%"})
        image = widgets.Image(value=self.frames[self.start], format="webp", width=self.width,
                              layout={"max_width": "100%"})

        def show(change: Any) -> None:
            image.value = self.frames[change.new]

        slider.observe(show, names="value")
        bundle = widgets.VBox([image, slider])._repr_mimebundle_()
        return {key: value for key, value in bundle.items() if key.startswith("application/")}


def _script(value: Any) -> str:
    """Write a value as JavaScript that can't end its script."""
    return json.dumps(value).replace("<", "\\u003c")


def slider_figure(draw: Callable[[Any], Any], values: Sequence[Any], *, label: str, alt: str, start: int | None = None,
                  text: Callable[[Any], str] = str) -> SliderFigure:
    """Let the reader change one value with a slider and watch the figure follow.

    Parameters
    ----------
    draw
        Takes one of the values and returns a matplotlib figure.
    values
        The values on the slider, in order; no more than about a dozen, as the page holds a frame for each.
    label
        What the slider sets, with its unit.
    alt
        What the figure shows, and how it changes from one end of the slider to the other, for those who cannot see it.
    start
        Index of the value shown first; the middle one if None.
    text
        Formats a value for display next to the slider.

    Returns
    -------
    SliderFigure
        The last expression of a cell.

    Raises
    ------
    ValueError
        If there are fewer than two values, ``start`` is not one of their indices, or ``alt`` is blank.
    """
    values = list(values)
    if len(values) < 2:
        raise ValueError(f"values={values!r} has {len(values)}; a slider needs at least 2")
    start = len(values) // 2 if start is None else start
    if not 0 <= start < len(values):
        raise ValueError(f"start={start} is not an index in [0, {len(values)})")
    if not alt.strip():
        raise ValueError(f"alt={alt!r} must say what the figure shows")
    widths, frames = zip(*[_render(draw(value)) for value in values], strict=True)
    return SliderFigure(frames, widths[start], label, [text(value) for value in values], start, alt)


def _render(figure: Any) -> tuple[int, bytes]:
    """Return a figure's width on the page in pixels, and the figure as WebP at twice that width; then close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=2 * figure.dpi, pil_kwargs={"lossless": True})
    width = round(figure.get_figwidth() * figure.dpi)
    plt.close(figure)
    return width, buffer.getvalue()
