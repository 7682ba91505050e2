"""`make ready` says "Ready" only where a lesson can begin."""

import pytest
from nbformat.v4 import new_notebook

from tools import ready
from tools.budget import Cost
from tools.execute import Execution
from tools.install import REQUIREMENTS


def test_this_environment_has_the_packages_of_the_book():
    assert ready.wrong_packages(REQUIREMENTS.read_text(encoding="utf-8")) == []


def test_missing_and_other_versions_are_named_and_other_systems_are_not():
    text = "# pins\nnumpy==0.1\nno-such-package==2.0\nno-such-either==1; sys_platform == 'none'\n-e .\n"
    other, missing = ready.wrong_packages(text)
    assert other.startswith("numpy is ") and other.endswith("not 0.1") and missing == "no-such-package is missing"


@pytest.mark.parametrize(("cpu_s", "error", "status", "word"), [
    (8, None, 0, "Ready: "), (900, None, 0, "Slow"), (1, "cell 3 of 4: no", 1, "Not ready: a chapter stopped, cell 3")])
def test_the_last_line_says_it(monkeypatch, capsys, cpu_s, error, status, word):
    monkeypatch.setattr(ready, "execute", lambda path: Execution(new_notebook(), Cost(cpu_s, 1), error))
    assert ready.main() == status
    assert word in "".join(capsys.readouterr())


def test_a_kernel_that_cannot_be_reached_is_told_in_a_line(monkeypatch, capsys):
    def unreached(path):
        raise RuntimeError("Kernel didn't respond in 60 seconds")

    monkeypatch.setattr(ready, "execute", unreached)
    assert ready.main() == 1
    assert "perhaps for a firewall: Kernel didn't respond" in capsys.readouterr().err


def test_without_its_packages_a_machine_is_not_ready(monkeypatch, capsys):
    monkeypatch.setattr(ready, "wrong_packages", lambda text: ["numpy is missing"])
    assert ready.main() == 1
    assert "numpy is missing\nNot ready: `make lab`" in capsys.readouterr().err
