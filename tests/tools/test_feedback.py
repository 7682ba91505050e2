"""The top of a page of feedback: what failed, and why."""

from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.feedback import LONGEST, improved, said


def cell(grade_id="test_rows", name=None, text="", solution=False):
    outputs = [new_output("error", ename=name, evalue=text, traceback=[])] if name else []
    return new_code_cell(outputs=outputs, metadata={"nbgrader": {"grade_id": grade_id, "solution": solution}})


def entry(name="test_rows", kind="Test cell"):
    return f'<li><a href="#{name}">{kind}</a> (Score: 0.0 / 1.0)</li>'


def test_a_test_says_its_own_sentence_and_an_error_its_name():
    assert said(cell()) == ""
    assert said(cell(name="AssertionError", text="a row is off\nand more")) == "a row is off"
    assert said(cell(name="AssertionError")) == "AssertionError"
    assert said(cell(name="TypeError", text="\x1b[31mno len\x1b[0m")) == "TypeError: no len"
    assert said(cell(name="SyntaxError", text="no ':' (2002180974.py, line 1)")) == "SyntaxError: no ':' (line 1)"
    assert len(said(cell(name="ValueError", text="x" * 10**6))) == LONGEST + 2


def test_it_stands_in_the_list_as_text():
    page = improved(entry(), new_notebook(cells=[cell(name="AssertionError", text="<b> & 1")]))
    assert page == ('<li><a href="#test_rows">test_rows</a> (Score: 0.0 / 1.0)<br>'
                    "<strong>&lt;b&gt; &amp; 1</strong></li>")
    assert improved(entry(), new_notebook(cells=[cell()])) == entry(kind="test_rows")


def test_a_missing_name_is_explained_by_the_answer_that_failed():
    answers = [cell("rows", "SyntaxError", "expected ':'", solution=True), cell(name="NameError", text="name 'rows'")]
    assert "NameError: name 'rows', because of the answer's SyntaxError: expected" in improved(
        entry(), new_notebook(cells=answers))


def test_a_comment_says_on_what():
    assert "Comment on claim</a>" in improved('<a href="#comment-claim">Comment</a>', new_notebook())


def test_formulas_need_no_network():
    old = ('<script src="https://cdn.example/mathjax/2.7.7/latest.js?config=x"> </script>\n<!-- Configuration -->'
           '\n<script type="text/x-mathjax-config">\n    init()\n    </script><p>$x$</p>')
    page = improved(old, new_notebook())
    assert "https://cdn.example" not in page and "window.MathJax" in page and page.endswith("<p>$x$</p>")
