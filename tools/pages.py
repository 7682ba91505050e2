"""A Sphinx extension: what the book's pages have beyond their theme."""

from typing import Any

from sphinx.application import Sphinx

ELSEWHERE = {
    "Colab": ("https://colab.research.google.com/github/{where}", "_static/images/logo_colab.png"),
    "Kaggle": ("https://www.kaggle.com/kernels/welcome?src=https://github.com/{where}", "fab fa-kaggle"),
}


def launch_buttons(notebooks: str, pagename: str) -> list[dict[str, str]]:
    """Return the buttons that open a page's notebook on Colab and on Kaggle.

    They open the learner's edition: it installs the package, and its hints fold in any Jupyter. The theme's own button
    for Colab would open the notebook that the page is made from.
    """
    where = f"{notebooks}/{pagename}.ipynb"
    return [{"type": "link", "text": name, "tooltip": f"Launch on {name}", "icon": icon,
             "url": address.format(where=where)} for name, (address, icon) in ELSEWHERE.items()]


def add_launch_buttons(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    for group in context.get("header_buttons", []):
        if app.config.launch_notebooks and group.get("label") == "launch-buttons":
            group["buttons"] += launch_buttons(app.config.launch_notebooks, pagename)


def setup(app: Sphinx) -> dict[str, Any]:
    # Where GitHub has the learner's notebooks: OWNER/NAME/blob/BRANCH/FOLDER. Empty if the repository is not known.
    app.add_config_value("launch_notebooks", "", "html")
    app.connect("html-page-context", add_launch_buttons, priority=900)  # after the theme's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
