"""The commands and the code that the texts tell a reader to type."""

import re
import shlex
from pathlib import Path

import pytest

from minivit.arguments import parse
from minivit.training import load_variants
from minivit.training.recipe import choose_variants

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md", ROOT / "book" / "intro.md",
         *sorted((ROOT / "recipes").glob("*.py"))]
COMMAND = re.compile(r"python -m minivit +((?:train|sweep|eval|analyze|data|bench|plan)\b(?:[^`\n\\]|\\\n)*)")


def commands():
    for path in TEXTS:
        for words in COMMAND.findall(path.read_text(encoding="utf-8")):
            words = shlex.split(words.partition(" > ")[0].replace("\\\n", " "), comments=True)
            if len(words) > 1 and "..." not in words:  # a command's name alone is no command
                yield pytest.param(words, id=f"{path.relative_to(ROOT)}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(commands()))
def test_a_command_can_be_typed(words):
    options = parse(words)
    for word in words:
        if re.fullmatch(r"recipes/\w+\.py", word) and word != "recipes/NAME.py":
            choose_variants(load_variants(ROOT / word), getattr(options, "variants", None))


def test_the_first_code_of_the_readme_runs(capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    exec(compile(code, "README.md", "exec"), {})
    assert re.fullmatch(r"\d\.\d+ nats\n21\.4 M parameters, 1\.\d+ G multiply-adds\n", capsys.readouterr().out)
