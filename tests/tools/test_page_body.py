"""What the body of a page has that its source hasn't, and the other way round."""

import io

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

PAGE = r"""# Page

$$
\begin{aligned}
a &= b \\
c &= d
\end{aligned} \tag{1}
$$

$$
e = f \tag{2}
$$

```python
def half(x):
    ### BEGIN SOLUTION
    return x / 2  # a half
    ### END SOLUTION
```
"""


def test_lines_may_have_a_number_and_marks_for_the_editions_are_left_out(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(PAGE, encoding="utf-8")
    (source / "conf.py").write_text('extensions = ["myst_parser", "sphinx.ext.mathjax", "tools.pages"]\n'
                                    'myst_enable_extensions = ["dollarmath"]\n', encoding="utf-8")
    Sphinx(source, source, tmp_path / "html", tmp_path / "doctrees", "html", status=io.StringIO(),
           warning=io.StringIO()).build()
    body = BeautifulSoup((tmp_path / "html" / "index.html").read_text(encoding="utf-8"), "html.parser").find("section")
    lines, line = ("".join(equation.text.split()) for equation in body.select("div.math"))
    assert lines.startswith("\\[\\begin{aligned}") and lines.endswith("\\tag{1}\\]") and "split" not in lines
    assert line.startswith("\\[") and line.endswith("\\tag{2}\\]")
    assert body.pre.text == "def half(x):\n    return x / 2  # a half\n"
