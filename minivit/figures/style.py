"""One look for every figure."""

COLORS = {
    # Okabe and Ito's colours: told apart by colour-blind readers, and of different lightness for greyscale.
    "plain": "#0072B2",
    "cb": "#D55E00",
    "cb_s": "#009E73",
    "bound": "#555555",
    "mark": "#000000",
}
SEQUENTIAL = "viridis"  # evenly rising lightness: reads in greyscale


def use_book_style() -> None:
    """Set matplotlib to the book's look: legible on a phone, sharp on a fine screen, no frame where none is needed."""
    import matplotlib.pyplot as plt
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("retina")
    plt.rcParams.update({
        "figure.figsize": (7.0, 3.2),
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=[COLORS[name] for name in ("plain", "cb", "cb_s", "bound")]),
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#DDDDDD",
        "grid.linewidth": 0.6,
        "image.cmap": SEQUENTIAL,
        "legend.frameon": False,
        "lines.linewidth": 2.0,
    })
