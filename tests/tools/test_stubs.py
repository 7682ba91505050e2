"""What a learner finds in the place of a solution: names that are open, and never a NameError."""

import pytest

from tools.stubs import wanted_before, without_solutions

LINE = "...  # your code"


def solved(*lines, indent=""):
    return "\n".join(f"{indent}{line}" for line in ("### BEGIN SOLUTION", *lines, "### END SOLUTION"))


@pytest.mark.parametrize("solution, wanted, stub", [
    ("a = 1", {"a"}, f"a = {LINE}"),
    ("a, (b, *c) = 1, (2, 3)", {"a", "b", "c"}, f"a = {LINE}\nb = {LINE}\nc = {LINE}"),
    ("a = 1\na += 2", {"a"}, f"a = {LINE}"),
    ("helper = 1\na = helper", {"a"}, f"a = {LINE}"),
    ("with open(f) as file:\n    a: int = 1", {"a"}, f"a = {LINE}"),
    ("for a in (b := [1]):\n    print(a)", {"a", "b"}, f"b = {LINE}\na = {LINE}"),
    ("print([a for a in range(3)])", {"a"}, "# your code"),
    ("import numpy as np\nfrom math import log\na = log(2)", {"a", "log"}, f"from math import log\na = {LINE}"),
    ("print(1)", {"a"}, "# your code"),
    ("%time a = 1", {"a"}, "# your code"),
])
def test_a_name_that_is_needed_below_is_left_open(solution, wanted, stub):
    assert without_solutions(solution, wanted) == without_solutions(solved(solution), wanted) == stub


def test_a_function_keeps_its_signature_and_docstring():
    solution = '''\
@torch.no_grad()
def halve(x: float, *, twice=False) -> float:
    """Half of it."""
    # Not a quarter.
    return x / 2

def helper(x):
    return 7'''
    assert without_solutions(solution, {"halve"}) == f'''\
@torch.no_grad()
def halve(x: float, *, twice=False) -> float:
    """Half of it."""
    {LINE}'''


def test_a_class_keeps_the_signatures_of_its_methods():
    solution = '''\
class Half(Module):
    """Halves."""

    factor = 0.5

    def forward(self, x):
        """Tokens in, tokens out."""
        return self.factor * x'''
    stub = without_solutions(solution, {"Half"})
    assert stub == f'''\
class Half(Module):
    """Halves."""

    def forward(self, x):
        """Tokens in, tokens out."""
        {LINE}'''


def test_a_line_to_fill_in_is_as_indented_as_the_solution():
    source = "def halve(x):\n" + solved("half = x / 2", "return half", indent="    ") + "\n\nprint(halve(3))"
    assert without_solutions(source) == f"def halve(x):\n    {LINE}\n\nprint(halve(3))"


def test_what_the_rest_of_a_function_needs_is_left_open_in_it():
    source = "def halve(x):\n" + solved("half = x / 2", indent="    ") + "\n    return half\n\n\nhalf = 3"
    stub = without_solutions(source, {"half"})
    assert stub == f"def halve(x):\n    half = {LINE}\n    return half\n\n\nhalf = 3"
    namespace = {}
    exec(stub, namespace)
    assert namespace["halve"](3) is ...


def test_what_has_a_value_already_keeps_it():
    source = "def double(x):\n    y = 0 * x\n" + solved("y = 2 * x", indent="    ") + "\n    return y"
    assert without_solutions(source) == f"def double(x):\n    y = 0 * x\n    {LINE}\n    return y"
    assert without_solutions("a = 1\n" + solved("a = 2", "b = 3"), {"a", "b"}) == f"a = 1\nb = {LINE}"


def test_each_solution_of_a_cell_has_its_own_stub():
    source = "def one():\n" + solved("return 1", indent="    ") + "\n\n\n" + solved("two = 2 * one()")
    assert without_solutions(source, {"two"}) == f"def one():\n    {LINE}\n\n\ntwo = {LINE}"


@pytest.mark.parametrize("source, before", [
    ("b = a", {"a", "z"}),
    ("z = 1", set()),
    ("z += 1", {"z"}),
    ("a = 1\nb = a", {"z"}),
    ("def f(x, *y, k=d):\n    w = x\n    return w + y + k + g", {"d", "g", "z"}),
    ("lambda x: x + a", {"a", "z"}),
    ("[x + a for x in b for y in x if y]", {"a", "b", "z"}),
    ("import z.a as y, z.b", set()),
    ("for i in n:\n    print(i)\nelse:\n    z = m", {"n", "print", "m"}),
    ("x[i].y = v", {"x", "i", "v", "z"}),
    ("a = (\n    b\n    % c\n)", {"b", "c", "z"}),
    ("%pip install z\n!ls", {"z"}),
])
def test_names_that_must_be_there_before_code_runs(source, before):
    assert wanted_before(source, {"z"}) == before
