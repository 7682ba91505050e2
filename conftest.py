"""What holds for all tests: which of them this machine can run, and what nbval does not compare."""

import os
import sys
from pathlib import Path

import pytest


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Compare no drawing between notebooks: nbval leaves out PNG by itself, and an SVG has a date and random names."""
    if collector.nodeid.endswith(".ipynb"):
        collector.skip_compare += ("image/svg+xml",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say why, what needs a device or data that are not there."""
    reasons = {"gpu": _missing_gpu, "cifar": _missing_cifar}
    for marker, reason in reasons.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and (why := reason()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(autouse=True)
def run_on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``auto`` be the CPU on every machine: what is compared to the last bit was written down there."""
    device = sys.modules.get("minivit.training.device")
    if device and not request.node.get_closest_marker("gpu"):
        monkeypatch.setattr(device, "_best_device", lambda: sys.modules["torch"].device("cpu"))


def _missing_gpu() -> str | None:
    from minivit.training.device import answers

    return None if answers("cuda") else "no CUDA device that answers"


def _missing_cifar() -> str | None:
    from minivit.data.cifar100 import ARCHIVE, FOLDER

    folder = os.environ.get("MINIVIT_DATA")
    if not folder:
        return "MINIVIT_DATA does not name a folder with CIFAR-100"
    found = any(Path(folder, name).exists() for name in (FOLDER, ARCHIVE))
    return None if found else f"no CIFAR-100 in MINIVIT_DATA ({folder})"
