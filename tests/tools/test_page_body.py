"""What the body of a page has that its source hasn't, and the other way round."""

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


def test_lines_may_have_a_number_and_marks_for_the_editions_are_left_out(build_page):
    body = build_page(PAGE, "tools.pages")
    lines, line = ("".join(equation.text.split()) for equation in body.select("div.math"))
    assert lines.startswith("\\[\\begin{aligned}") and lines.endswith("\\tag{1}\\]") and "split" not in lines
    assert line.startswith("\\[") and line.endswith("\\tag{2}\\]")
    assert body.pre.text == "def half(x):\n    return x / 2  # a half\n"
