import logging
import warnings

import pytest
import torch

from minivit.training import device as module
from minivit.training.device import autocast, choose_device, resolve_precision, works

CPU = torch.device("cpu")
BEST_DEVICE = module._best_device  # before conftest.py puts the CPU in its place
NO_DRIVER = RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and "
                         "installed a driver from http://www.nvidia.com/Download/index.aspx")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that makes this process see a machine: a build of torch, and what its accelerator answers."""
    def see(build, error=None, card=False, driver=False, **variables):
        def ones(*size, device):
            if device.type == build and error is not None:
                warnings.warn("CUDA initialization: at length", stacklevel=1)
                raise error
            return torch.zeros(*size) + 1

        monkeypatch.setattr(module, "_best_device", BEST_DEVICE)
        monkeypatch.setattr(torch, "ones", ones)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: build and torch.device(build))
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GeForce GTX 1070")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_120"])
        monkeypatch.setattr(module, "_has_nvidia_driver", lambda: driver)
        monkeypatch.setattr(module, "PCI_DEVICES", tmp_path)
        (tmp_path / "0000:01:00.0").mkdir()
        for name, text in (("vendor", "0x10de\n" if card else "0x8086\n"), ("class", "0x030000\n")):
            (tmp_path / "0000:01:00.0" / name).write_text(text, encoding="ascii")
        for name in module.CHOOSING:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    return see


@pytest.mark.parametrize("build", ["cuda", "mps", "xpu"])
def test_auto_takes_an_accelerator_that_answers(machine, caplog, build):
    machine(build)
    assert choose_device("auto") == torch.device(build) and not caplog.text


@pytest.mark.parametrize("build, error", [
    (None, None), ("cuda", NO_DRIVER),
], ids=["the build for a CPU", "the build for CUDA"])
def test_a_laptop_without_a_gpu_is_told_nothing(machine, caplog, build, error):
    machine(build, error)
    assert choose_device("auto") == CPU and not caplog.text


@pytest.mark.parametrize("why, build, error, around", [
    ("the NVIDIA driver is too old (it knows CUDA 11.4, torch .* needs 13.0); update it",
     "cuda", RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
                          "driver by downloading and installing a new version from the URL: https://nvidia"), {}),
    ("an NVIDIA card is here, but no driver", "cuda", NO_DRIVER, dict(card=True)),
    ("an NVIDIA card is here, but no driver that torch finds; a container", "cuda", NO_DRIVER, dict(driver=True)),
    ("there is no NVIDIA driver (and CUDA_VISIBLE_DEVICES='0' is set)",
     "cuda", NO_DRIVER, dict(CUDA_VISIBLE_DEVICES="0")),
    ("CUDA_VISIBLE_DEVICES='' leaves no GPU to see",
     "cuda", RuntimeError("No CUDA GPUs are available"), dict(CUDA_VISIBLE_DEVICES="")),
    ("ROCR_VISIBLE_DEVICES='7' leaves no GPU to see",
     "cuda", RuntimeError("No HIP GPUs are available"), dict(ROCR_VISIBLE_DEVICES="7")),
    ("the driver finds no GPU", "cuda", RuntimeError("No CUDA GPUs are available"), {}),
    ("has no kernels for GeForce GTX 1070, compute capability 6.1, only for sm_75, sm_120",
     "cuda", torch.AcceleratorError("CUDA error: no kernel image is available for execution on the device\nCUDA kernel "
                                    "errors might be reported at some other call"), {}),
    ("no memory is left on cuda",
     "cuda", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total capacity"), {}),
    ("no memory is left on cuda", "cuda", torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel"), {}),
    ("CUDA error: CUDA-capable device(s) is/are busy or unavailable",
     "cuda", torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nSearch for"), {}),
    ("CUDA unknown error - this may be due to an incorrectly set up environment",
     "cuda", RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment, e.g. by a"), {}),
    ("macOS gives torch no Metal device; it needs macOS 14",
     "mps", RuntimeError("The MPS backend is supported on MacOS 14.0+. Current OS version can be queried"), {}),
    ("no memory is left on mps",
     "mps", RuntimeError("MPS backend out of memory (MPS allocated: 0 bytes). Tried to allocate 256 bytes"), {}),
    ("an NVIDIA driver is here, but torch .* was built without CUDA", None, None, dict(driver=True)),
])
def test_where_a_gpu_might_be_expected_one_line_says_why_there_is_none(machine, caplog, why, build, error, around):
    machine(build, error, **around)
    assert choose_device("auto") == CPU
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    pattern = ".*".join(map(module.re.escape, why.split(".*")))
    assert module.re.match(f"running on the CPU: .*{pattern}", record.getMessage())
    assert "\n" not in record.getMessage()


def test_a_device_that_was_asked_for_is_an_error_where_it_is_not_available(machine, caplog):
    machine("cuda", NO_DRIVER)
    with pytest.raises(ValueError, match="^device='cuda' is not available: there is no NVIDIA driver; try cpu$"):
        choose_device("cuda")
    assert not works("cuda") and works("cpu") and not caplog.text


@pytest.mark.parametrize("error", [
    AssertionError("Torch not compiled with XPU enabled"), ModuleNotFoundError("No module named 'torch.xpu'"),
    NotImplementedError("Could not run 'aten::empty.memory_format' with arguments from the 'XPU' backend."),
])
def test_a_device_of_another_build_is_an_error_too(machine, error):
    machine("xpu", error)
    with pytest.raises(ValueError, match="^device='xpu' is not available: torch .* was built without it; try cpu$"):
        choose_device("xpu")


def test_a_device_without_numbers_is_none():
    with pytest.raises(ValueError, match="^device='meta' is not available: .*meta"):
        choose_device("meta")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x"])
def test_a_device_that_torch_does_not_know_is_an_error(name):
    with pytest.raises(ValueError, match=f"^device='{name}' must be auto, cpu, cuda"):
        choose_device(name)


def test_a_device_may_be_given_as_one():
    assert choose_device(CPU) == choose_device("cpu") == CPU


def test_many_processes_are_refused_and_an_empty_number_is_none(monkeypatch):
    for value in ("", "1"):
        monkeypatch.setenv("WORLD_SIZE", value)
        assert choose_device("cpu") == CPU
    for value, message in (("2", "only train"), ("two", "'two' must be a whole number"), ("-1", "'-1' must be")):
        monkeypatch.setenv("WORLD_SIZE", value)
        with pytest.raises(ValueError, match=f"WORLD_SIZE=.*{message}"):
            choose_device("cpu")


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


def test_a_precision_that_there_is_not_is_told():
    with pytest.raises(ValueError, match="precision='float16' is not known.* one of auto, float32, bfloat16"):
        resolve_precision("float16", torch.device("cpu"))
