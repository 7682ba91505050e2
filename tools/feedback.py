"""Make nbgrader's page of feedback one that helps a student: its top says what failed and why, and it needs no network.

nbgrader's page lists "Test cell" and "Comment", and what a test said stands far below, each time somewhere else.
"""

import html
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.document import mathjax
from tools.execute import ANSI
from tools.notebooks import replace

TEST = re.compile(r'<li><a href="#([^"]+)">[^<]+</a> (\(Score: [^)]*\))</li>')
COMMENT = re.compile(r'<a href="#comment-([^"]+)">Comment</a>')
# nbgrader takes MathJax 2 from the network. The house's own is MathJax 3, which is configured in another way.
OLD_MATHJAX = re.compile(r'<script src="https://[^"]*/mathjax/[^"]*">.*?</script>\s*'
                         r'(<!--[^>]*-->\s*)?<script type="text/x-mathjax-config">.*?</script>', re.DOTALL)
MATHJAX = """\
<script>
window.MathJax = {{
  tex: {{inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], processEscapes: true}},
  options: {{ignoreHtmlClass: "highlight|output", enableMenu: false}},
}};
</script>
<script>{mathjax}</script>"""
LONGEST = 200


def said(cell: NotebookNode) -> str:
    """Return why a test failed, in a line: its own sentence, or the error that stopped it; nothing if it passed."""
    errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    if not errors:
        return ""
    name, text = errors[0].ename, ANSI.sub("", errors[0].evalue).strip().partition("\n")[0]
    text = re.sub(r"\(\d+\.py, (line \d+)\)$", r"(\1)", text)  # a cell's file has a number for a name
    text = text if name == "AssertionError" and text else f"{name}: {text}".removesuffix(": ")
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def improved(page: str, notebook: NotebookNode) -> str:
    """Return nbgrader's page of a graded notebook with what was said, with names, and with MathJax in it."""
    words, answer = {}, ""  # answer: what went wrong in the last answer above a test
    for cell in notebook.cells:
        about = cell.metadata.get("nbgrader", {})
        words[about.get("grade_id")] = why = said(cell)
        if about.get("solution"):
            answer = why
        elif answer and why.startswith("NameError"):
            words[about["grade_id"]] = f"{why}, because of the answer's {answer}"

    def entry(found: re.Match) -> str:
        why = words.get(found[1], "")
        return (f'<li><a href="#{found[1]}">{found[1]}</a> {found[2]}'
                + (f"<br><strong>{html.escape(why, quote=False)}</strong>" if why else "") + "</li>")

    page = COMMENT.sub(r'<a href="#comment-\1">Comment on \1</a>', TEST.sub(entry, page))
    return OLD_MATHJAX.sub(lambda _: MATHJAX.format(mathjax=mathjax()), page, count=1)


def improve(page: Path, graded: Path) -> None:
    """Rewrite a page of feedback in place, given the notebook as it ran."""
    replace(page, improved(page.read_text(encoding="utf-8"), nbformat.read(graded, as_version=4)))
