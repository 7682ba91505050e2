"""What a line may not tear apart: formulas and their points, numbers and what belongs to them."""

import pytest

from tools.together import bound

PAGE = """\
# Page

Of $N$, and $M$ ($x$), the $k$-th, and $y$ . Again, and of $z$.

In 95 % of cases it's [-0.57, +1.90] points, n = 3: see equation (3) and `95 % code`.

$$
a, b
$$
"""


@pytest.mark.parametrize("text, expected", [
    ("95 % of 15 GB, n = 3 ★", "95~% of 15~GB, n~=~3~★"),
    ("p = 0.05 and n = 3, but x = y", "p~=~0.05 and n~=~3, but x = y"),
    ("+0.67 [−0.57, +1.90] points", "+0.67 [−0.57,~+1.90] points"),
    ("Exercise 3, table S15, figure 4, Part II", "Exercise~3, table S15, figure~4, Part~II"),
    ("a part of 3 seconds", "a part of 3 seconds"),
])
def test_a_number_stays_with_what_belongs_to_it(text, expected):
    assert bound(text) == expected.replace("~", "\N{NO-BREAK SPACE}")


def test_a_formula_stays_with_the_signs_that_touch_it(build_page):
    body = build_page(PAGE, "tools.together")
    assert [kept.text for kept in body.select(".together")] == [r"\(N\),", r"(\(x\)),", r"\(k\)-th,", r"\(z\)."]
    assert body.p.text == r"Of \(N\), and \(M\) (\(x\)), the \(k\)-th, and \(y\) . Again, and of \(z\)."
    assert "95\xa0% of cases" in body.text and "[-0.57,\xa0+1.90]" in body.text and "95 % code" in body.code.text
