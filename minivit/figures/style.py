"""One style for all figures."""

from typing import Any

COLORS = {
    # Okabe and Ito's colours: colour-blind readers can tell them apart, and they differ in lightness for greyscale.
    "plain": "#0072B2",
    "cb": "#D55E00",
    "cb_s": "#009E73",
    "cb_all": "#CC79A7",
    "bound": "#555555",
    "mark": "#000000",
}
SEQUENTIAL = "viridis"  # lightness rises evenly, so it also works in greyscale


def book_style() -> dict[str, Any]:
    """Return matplotlib settings for the book's style: legible on a phone, no frame where none is needed.

    Use them as ``with matplotlib.rc_context(book_style()): ...``; for notebooks there is :func:`use_book_style`.
    """
    from cycler import cycler

    return {
        "figure.figsize": (7.0, 3.2),
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=[COLORS[name] for name in ("plain", "cb", "cb_s", "bound")]),
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#DDDDDD",
        "grid.linewidth": 0.6,
        "image.cmap": SEQUENTIAL,
        "legend.frameon": False,
        "lines.linewidth": 2.0,
    }


def bare(ax: Any) -> None:
    """Remove the ticks, the grid and the frame from a matplotlib axes that shows a picture."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def use_book_style() -> None:
    """Give every figure in a notebook the book's style, sharp on a high-resolution screen."""
    import matplotlib.pyplot as plt
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("retina")
    plt.rcParams.update(book_style())
