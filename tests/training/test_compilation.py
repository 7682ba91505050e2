import pytest
import torch

from minivit.training import train
from minivit.training.compilation import compiling


def test_a_machine_without_a_compiler_is_told_in_one_line(config, tmp_path, monkeypatch):
    compile_function = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **_: compile_function(f, backend=refuse))
    with pytest.raises(ValueError, match="compile='default' is not available here: .*C\\+\\+ compiler.*compile=none$"):
        train(config.override(compile="default"), tmp_path / "run", progress=False)
    assert not list((tmp_path / "run").iterdir())


def refuse(graph, inputs):
    raise RuntimeError("no working C++ compiler found\nin ('g++',)")


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), compiling("default"):
        raise ZeroDivisionError
