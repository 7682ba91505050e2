import pytest
import torch

from minivit.training.device import autocast, resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("has_bfloat16, precision", [(False, "float32"), (True, "bfloat16")])
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch, has_bfloat16, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bfloat16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert resolve_precision("auto", CPU) == precision
    with autocast("auto", CPU):
        assert str((torch.ones(2, 2) @ torch.ones(2, 2)).dtype) == f"torch.{precision}"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_asked_for_is_what_is_had(precision):
    assert resolve_precision(precision, CPU) == precision
