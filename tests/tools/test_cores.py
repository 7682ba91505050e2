import os

import pytest

from tools import cores
from tools.cores import usable_jobs

GB = 2**30


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets the machine's cores, memory and cgroup limits."""
    def make(n, memory, **files):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(n)), raising=False)
        monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": memory // 4096}.get)
        monkeypatch.setattr(cores, "CGROUP", tmp_path)
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="ascii")
    return make


@pytest.mark.parametrize("n, memory, files, jobs", [
    (7, 64 * GB, {}, 7),
    (7, 5 * GB, {}, 2),
    (7, GB, {}, 1),
    (7, 64 * GB, {"cpu_DOT_max": "max 100000\n", "memory_DOT_max": "max\n"}, 7),
    (7, 64 * GB, {"cpu_DOT_max": "300000 100000\n"}, 3),
    (7, 64 * GB, {"cpu_DOT_max": "50000 100000\n"}, 1),
    (7, 64 * GB, {"memory_DOT_max": str(11 * GB)}, 5),
    (7, 64 * GB, {"cpu__cpu_DOT_cfs_quota_us": "-1\n", "cpu__cpu_DOT_cfs_period_us": "100000\n"}, 7),
    (7, 64 * GB, {"cpu__cpu_DOT_cfs_quota_us": "200000\n", "cpu__cpu_DOT_cfs_period_us": "100000\n"}, 2),
    (7, 64 * GB, {"memory__memory_DOT_limit_in_bytes": str(2**63 - 4096)}, 7),
    (7, 64 * GB, {"cpu_DOT_max": ""}, 7),
])
def test_as_many_jobs_as_cores_and_memory_are_enough_for(machine, n, memory, files, jobs):
    machine(n, memory, **files)
    assert usable_jobs() == jobs


def test_a_system_without_affinity_has_all_its_cores(machine, monkeypatch):
    machine(3, 64 * GB)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_jobs() == 5
