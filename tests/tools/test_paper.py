"""On paper nothing is folded, and the solution comes last."""

from bs4 import BeautifulSoup

from tools.paper import on_paper

PAGE = """
<section id="exercises"><section id="exercise-1-halve"><h3>Exercise 1<a class="headerlink">#</a></h3>
<div class="cell tag_solution"><details class="hide above-input"><summary><p class="collapsed">Show the solution</p>
<p class="expanded">Hide the solution</p></summary><pre>half = x / 2</pre></details></div>
<div class="cell tag_check"><details><summary><p class="collapsed">Show the code</p></summary><pre>assert half</pre>
</details></div>
</section></section>
<div class="slider-figure"><img src="frame" loading="lazy"><label>scale
<input type="range"><output>2.0</output></label><script>let frames;</script></div>
"""


def test_everything_is_open_and_a_solution_is_at_the_end_of_its_exercise():
    soup = BeautifulSoup(PAGE, "html.parser")
    body = on_paper(soup, soup)
    assert not body.select("details, summary, script, input, .headerlink, [loading]")
    exercise = body.find(id="exercise-1-halve")
    assert [" ".join(part.get_text(" ").split()) for part in exercise.find_all("div", recursive=False)] == [
        "assert half", "Solution half = x / 2"]
    assert body.select_one(".slider-value").text == "scale: 2.0" and body.img["src"] == "frame"
