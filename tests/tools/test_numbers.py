"""How numbers and apostrophes are set on a page."""

import pytest

from tools.numbers import html_well_set, well_set

PAGE = """\
# Page

It's -1 or `-1` in $x$ steps, by 80%.

<details class="answer"><summary>It isn't `'`</summary></details>
"""


@pytest.mark.parametrize("text, expected", [
    ("-0.3 [-0.57, +1.90] to -5", "−0.3 [−0.57, +1.90] to −5"),
    ("8-10, CIFAR-100, ViT-2, -V2, a-1", "8-10, CIFAR-100, ViT-2, -V2, a-1"),
    ("1e-05, 5.7e-02, 1.8e+308", "10⁻⁵, 5.7~×~10⁻², 1.8~×~10³⁰⁸"),
    ("cafe1e-5, 1e, muon_4e-3", "cafe1e-5, 1e, muon_4e-3"),
    ("17% of 80 %", "17~% of 80 %"),
    ("the keys' bias isn't 'known'", "the keys' bias isn’t 'known'"),
])
def test_a_number_is_set_as_a_printer_sets_it(text, expected):
    assert well_set(text) == expected.replace("~", "\N{NO-BREAK SPACE}")


def test_of_html_only_the_text_is_set():
    html = """<p title='it'>it's "so" $a'b$ (&quot;<em>on</em>", <code>"it's" -1</code> "-1 or <i>x</i>" \\(f'g\\)</p>
    <script>let a = 'b'c' + "d"</script><style>a'b</style>don't"""
    expected = html.replace(">it's", ">it’s").replace("don't", "don’t").replace('"so"', "“so”")
    expected = expected.replace('&quot;<em>on</em>"', "“<em>on</em>”").replace('"-1 or <i>x</i>"', "“−1 or <i>x</i>”")
    assert html_well_set(html) == expected


def test_a_page_sets_numbers_but_not_code(build_page):
    body = build_page(PAGE, "tools.numbers")
    assert body.p.text == "It’s −1 or -1 in \\(x\\) steps, by 80\xa0%."
    assert body.summary.text == "It isn’t `'`"
