"""A Sphinx extension: what the book's pages have beyond their theme."""

import base64
import io
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from fontTools import subset
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools.stubs import BEGIN, without_markers

PART = "attention"  # Part I, which also runs in a browser

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


def add_lite_button(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Let a page of Part I be opened in the JupyterLite beside the book, where there is one."""
    if app.config.lite and doctree is not None and pagename.startswith(f"{PART}/"):
        up = "../" * pagename.count("/")
        context.setdefault("header_buttons", []).insert(0, {
            "type": "link", "label": "lite", "text": "Run", "icon": "fas fa-play",
            "tooltip": "Run this chapter in the browser (fetches Python from its public address)",
            "url": f"{up}lite/notebooks/index.html?path={pagename.rpartition('/')[2]}.ipynb"})


# What the body of a page has for what the theme's tools write: names that agree with what is seen, roles that belong to
# their list, and images that are fetched when they come near.
REWRITTEN = {
    '<summary aria-label="Toggle hidden content">': "<summary>",
    'role="doc-biblioentry"': 'role="listitem"',
    "<img ": '<img loading="lazy" decoding="async" ',
}


def smaller(image: bytes, kind: str = "") -> bytes:
    """Return a plot with 256 colours of its own, which the eye can't tell from it, if that takes fewer bytes.

    With a kind, PNG or WEBP, it becomes one in any case. As WebP it loses nothing either, and takes a quarter less.
    """
    buffer = io.BytesIO()
    whole = Image.open(io.BytesIO(image))
    picture = whole.convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    few = white.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    if (kind or whole.format) == "WEBP":
        few.convert("RGB").save(buffer, format="WEBP", lossless=True, quality=100)
    else:
        few.save(buffer, format="PNG", optimize=True)
    return min(image, buffer.getvalue(), key=len) if kind in ("", whole.format) else buffer.getvalue()


def smaller_frame(frame: re.Match) -> str:
    return frame[1] + base64.b64encode(smaller(base64.b64decode(frame[2]))).decode()


def rewrite(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if body := context.get("body"):
        for old, new in REWRITTEN.items():
            body = body.replace(old, new)
        context["body"] = FRAME.sub(smaller_frame, body)
        if app.builder.name == "html":
            context["body"] = PLOT.sub(r"\1webp", context["body"])


class NumberedLines(SphinxPostTransform):
    """Let an equation of several lines have a number: Sphinx would set it in a split environment, which refuses one."""

    default_priority = 900

    def run(self, **kwargs: Any) -> None:
        if self.app.builder.math_renderer_name != "mathjax":
            return
        for block in self.document.findall(nodes.math_block):
            if r"\tag" in block.astext() and r"\\" in block.astext():
                block["nowrap"] = True
                block[:] = [nodes.Text(rf"\[{block.astext()}\]")]


class WithoutMarkers(SphinxPostTransform):
    """Leave out the marks of the editions, which no reader of a page needs."""

    default_priority = 900

    def run(self, **kwargs: Any) -> None:
        for block in self.document.findall(nodes.literal_block):
            if BEGIN in block.rawsource:
                block.rawsource = without_markers(block.rawsource).rstrip()
                block[:] = [nodes.Text(block.rawsource)]


FRAME = re.compile(r"(data:image/webp;base64,)([A-Za-z0-9+/=]+)")  # of a figure with a slider
PLOT = re.compile(r"(_images/[0-9a-f]{64}\.)png")  # stored by a notebook, called by its digest
ICON = re.compile(r'"?([\w-]+)"?:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?')


def only_icons(script: str, names: set[str]) -> str:
    """Return Font Awesome's script with these icons alone, each by its name or another name of it."""
    def kept(icon: re.Match) -> str:
        return icon.group() if names & {icon[1], *re.findall(r'"([\w-]+)"', icon[2])} else ""

    return ICON.sub(kept, script)


def drawn(sheet: str) -> set[int]:
    """Return the code points that a style sheet draws itself, Font Awesome's own rules for its classes aside."""
    rules = re.findall(r"([^{}]*)\{([^{}]*)\}", sheet)
    escaped = {int(point, 16) for selector, body in rules if ".fa-" not in selector
               for point in re.findall(r'"\\(f[0-9a-f]{3})"', body)}
    return escaped | {ord(sign) for sign in re.findall("[\ue000-\uf8ff]", sheet)}


def only_points(font: Path, points: set[int]) -> bytes:
    """Return a font with these code points alone, as WOFF."""
    buffer = io.BytesIO()
    with subset.load_font(str(font), options := subset.Options(flavor="woff", notdef_outline=True)) as whole:
        smaller_font = subset.Subsetter(options)
        smaller_font.populate(unicodes=points)
        smaller_font.subset(whole)
        whole.flavor = "woff"
        whole.save(buffer)
    return buffer.getvalue()


def shrink(app: Sphinx, error: Exception | None) -> None:
    """Make what the pages fetch smaller: icons that no page shows are left out, and plots have fewer colours."""
    if error or app.builder.name != "html":
        return
    out = Path(app.outdir)

    def text(*patterns: str) -> str:
        return "".join(path.read_text(encoding="utf-8") for pattern in patterns for path in sorted(out.glob(pattern)))

    names = set(re.findall(r"\bfa-([a-z0-9-]+)", text("**/*.html", "_static/scripts/*theme.js")))
    for script in out.glob("_static/scripts/fontawesome.js"):
        script.write_text(only_icons(script.read_text(encoding="utf-8"), names), encoding="utf-8")
    points = drawn(text("_static/**/*.css"))
    for font in out.glob("_static/vendor/fontawesome/webfonts/*.ttf"):  # a browser looks at the bytes, not the name
        font.with_suffix(".woff2").write_bytes(only_points(font, points))
    for path in out.glob("_images/*.png"):
        if PLOT.fullmatch(f"_images/{path.name}"):
            path.with_suffix(".webp").write_bytes(smaller(path.read_bytes(), "WEBP"))
            path.unlink()
        else:  # a social card
            path.write_bytes(smaller(path.read_bytes()))


def setup(app: Sphinx) -> dict[str, Any]:
    # Where GitHub has the learner's notebooks: OWNER/NAME/blob/BRANCH/FOLDER. Empty if the repository is not known.
    app.add_config_value("launch_notebooks", "", "html")
    app.add_config_value("comments_config", {}, "html")  # Jupyter Book sets it, also where sphinx_comments isn't loaded
    app.connect("html-page-context", add_launch_buttons, priority=900)  # after the theme's
    app.add_config_value("lite", False, "html")  # whether a JupyterLite stands beside the pages
    app.connect("html-page-context", add_lite_button, priority=900)
    app.connect("html-page-context", rewrite)
    app.add_post_transform(NumberedLines)
    app.add_post_transform(WithoutMarkers)
    app.connect("build-finished", shrink)
    # A new number makes Sphinx write all pages again: change it with what this file makes of a page.
    return {"env_version": 5, "parallel_read_safe": True, "parallel_write_safe": True}
