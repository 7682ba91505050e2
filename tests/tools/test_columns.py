"""How a page sets tables."""

import pytest

from tools.columns import is_numbers

LONG = "Even more of what takes a sentence and another one, since no proof is ever short"
PAGE = f"""\
# Page

| model | top-1 | change | seeds |
| --- | --- | --- | --- |
| 1 | 33.1 % | −0.5 [−1, +0] | 3 |
| 2 | 8 ± 1 | – | three |

| claim | proof | number |
| --- | --- | --- |
| What the paper says, in a sentence of its own, and a long one | There is one, and it takes a sentence as well | 1 |
| More | {LONG} | 20 |
"""


@pytest.mark.parametrize("column, expected", [
    (["1", "+2.5", "", "−3"], True), (["10 %", "–"], True), (["5.7 × 10⁻²"], True), (["1,024", "1 ± 0.5"], True),
    (["–", ""], False), (["1", "one"], False), (["[1, 2]"], False), (["2 of 3"], False),
])
def test_a_column_of_numbers_is_known(column, expected):
    assert is_numbers(column) is expected


def test_numbers_are_set_to_the_right_and_cells_with_sentences_know_their_column(build_page):
    body = build_page(PAGE, "tools.columns")
    numbers, sentences = body("table")
    right = [["text-right" in cell.get("class", []) for cell in row(["th", "td"])] for row in numbers("tr")]
    assert right == [[False, True, False, False]] * 3 and not numbers.select(".column-name")
    assert "sentences" in sentences["class"] and "sentences" not in numbers["class"]
    assert [[p.text for p in cell("p")] for cell in sentences("tr")[2]("td")] == [
        ["More"], ["proof", LONG], ["number", "20"]]
