"""Make one page of Markdown and code, which needs no network, and print it: the answer booklet, the instructor's guide.

All is in the one file: its style, its images and MathJax. So it can be sent by mail, or handed over on a stick.
"""

import html
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from tools.editions import in_any_jupyter
from tools.execute import ANSI
from tools.notebooks import replace
from tools.numbers import html_well_set
from tools.paths import TEACH
from tools.printing import can_print, make_pdf
from tools.together import bound, signs
from tools.version import BOOK, date, in_words, version

STYLE = Path(__file__).with_suffix(".css")
HEADING = re.compile(r"^h[1-6]$")

PAGE = """\
<!DOCTYPE html>
<html lang="en"><head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: {book}, version {version}</title>
<style>
{style}
</style>
<script>
window.MathJax = {{options: {{ignoreHtmlClass: "document", processHtmlClass: "math", enableMenu: false}}}};
</script>
<script>{mathjax}</script>
</head>
<body class="document">
<header>
<p class="book">{book}</p>
<h1>{title}</h1>
{about}
<p class="version">Version {version}, {date}. Text and figures under CC BY 4.0, code under the MIT licence.</p>
</header>
<nav aria-label="Contents">
<p class="contents">Contents</p>
{contents}
</nav>
<main>
{body}
</main>
</body></html>
"""


def formula(tex: str, options: dict) -> str:
    """Return a formula as MathJax finds it."""
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return html.escape(f"{left}{tex}{right}")


def bind(state: StateCore) -> None:
    """Keep together in a line of Markdown what the book's pages keep together."""
    for line in filter(None, (block.children for block in state.tokens)):
        for text in line:
            if text.type == "text":
                text.content = bound(text.content)
        for place in reversed([place for place, token in enumerate(line) if token.type == "math_inline"]):
            around = [token if token.type == "text" else Token("text", "", 0)
                      for token in (line[max(place - 1, 0)], line[min(place + 1, len(line) - 1)])]
            before, after = signs(*(text.content for text in around))
            around[0].content = around[0].content.removesuffix(before)
            around[1].content = around[1].content.removeprefix(after)
            line[place:place + 1] = [
                Token("html_inline", "", 0, content=f'<span class="together">{html.escape(before)}'), line[place],
                Token("html_inline", "", 0, content=f"{html.escape(after)}</span>")]


def code(source: str, language: str = "python") -> str:
    """Return code with its colours."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return highlight(source.strip("\n"), lexer, HtmlFormatter(cssclass="code"))


def markdown(source: str) -> str:
    """Return the book's Markdown as HTML, folded where the chapter is."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.use(dollarmath_plugin, renderer=formula).use(amsmath_plugin, renderer=html.escape).use(deflist_plugin)
    parser.add_render_rule("fence", lambda self, tokens, at, *_: code(tokens[at].content, tokens[at].info or "text"))
    parser.core.ruler.push("together", bind)
    return html_well_set(parser.render(in_any_jupyter(source)))


def outputs(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed and drew, as it is stored."""
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    shown = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        text = ANSI.sub("", output.get("text", "") or data.get("text/plain", ""))
        if image := data.get("image/png"):
            shown.append(f'<img src="data:image/png;base64,{image.strip()}" alt="{html.escape(alt)}">')
        elif "text/markdown" in data:
            shown.append(markdown(data["text/markdown"]))
        elif text.strip():
            shown.append(f'<pre class="output">{html.escape(text.rstrip())}</pre>')
    return "\n".join(shown)


def lowered(source: str, levels: int) -> str:
    """Return HTML whose headings are so many levels lower."""
    return re.sub(r"(</?h)([1-6])\b", lambda tag: f"{tag[1]}{min(6, int(tag[2]) + levels)}", source)


def slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def with_contents(body: str) -> tuple[str, str]:
    """Give each heading a place, and return the body and its contents, two levels deep.

    A link to a place that isn't in the document, such as to another chapter, becomes plain words.
    """
    soup, taken, lines = BeautifulSoup(body, "html.parser"), set(), []
    for heading in soup.find_all(HEADING):
        title = " ".join(heading.get_text().split())
        place = slug(title)
        while place in taken:
            place += "-again"
        taken.add(place)
        heading["id"] = place
        if heading.name in ("h2", "h3"):
            lines.append((heading.name, f'<a href="#{place}">{heading.decode_contents()}</a>'))
    known = {element["id"] for element in soup.find_all(id=True)}
    for link in soup("a", href=True):
        if not link["href"].startswith(("https://", "http://")) and link["href"].removeprefix("#") not in known:
            link.unwrap()
    for wide in soup("table"):
        wide.wrap(soup.new_tag("div", attrs={"class": "wide"}))
    entries = []
    for level, link in lines:
        if level == "h2":
            entries.append((link, []))
        elif entries:
            entries[-1][1].append(link)
    contents = "".join(
        f"<li>{link}" + (f"<ul>{''.join(f'<li>{inner}</li>' for inner in below)}</ul>" if below else "") + "</li>\n"
        for link, below in entries)
    return str(soup), f"<ul>\n{contents}</ul>"


def code_colours(light: str, dark: str) -> str:
    """Return the rules that colour code, as the book's pages do, by light and by dark: where each selector holds."""
    return "{}\n@media screen and (prefers-color-scheme: dark) {{\n{}\n}}\n".format(*(
        HtmlFormatter(style=f"a11y-high-contrast-{name}").get_style_defs(where)
        for name, where in (("light", light), ("dark", dark))))


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, which isn't imported."""
    return Path(find_spec(name).submodule_search_locations[0])


def mathjax() -> str:
    """Return MathJax as one script that fetches nothing: it draws formulas and needs no fonts."""
    script = package_folder("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg-full.js"
    return script.read_text(encoding="utf-8")


def page(title: str, about: str, body: str) -> str:
    """Return a document: its title, what it is in a paragraph of Markdown, and its text in HTML from ``h2`` on."""
    body, contents = with_contents(body)
    style = f"{STYLE.read_text(encoding='utf-8')}\n{code_colours('.code', '.code')}"
    return PAGE.format(title=html.escape(title), book=BOOK, version=version(), date=in_words(date()), style=style,
                       mathjax=mathjax(), about=markdown(about), contents=contents, body=body)


def write(name: str, title: str, about: str, body: str) -> Path:
    """Write a document to the teaching kit as HTML and, where there is a Chromium, as PDF; return the HTML's path."""
    target = TEACH / f"{name}.html"
    replace(target, page(title, about, body))
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    if can_print():
        make_pdf(target, target.with_suffix(".pdf"), f"{BOOK}: {title}")
    else:
        print(f"So there's no {name}.pdf. The HTML is whole.", file=sys.stderr)
    return target
