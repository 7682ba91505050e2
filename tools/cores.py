"""Print how many notebooks or groups of tests this machine can run in parallel."""

import os
from pathlib import Path

JOB_BYTES = 2 * 2**30  # memory that a chapter may take
CGROUP = Path("/sys/fs/cgroup")


def usable_jobs() -> int:
    """Return how many jobs the cores and the memory that this process may use are enough for, at least 1.

    A container or a batch system often gives a process less than the machine has: some of the cores, a share of their
    time, or a part of the memory.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for quota, period in (_words("cpu.max"), _words("cpu/cpu.cfs_quota_us") + _words("cpu/cpu.cfs_period_us")):
        if quota.isdecimal() and int(period):
            cores = min(cores, int(quota) // int(period))
    for limit in (*_words("memory.max", 1), *_words("memory/memory.limit_in_bytes", 1)):
        if limit.isdecimal():
            memory = min(memory, int(limit))
    return max(1, min(cores, memory // JOB_BYTES))


def _words(name: str, count: int | None = None) -> list[str]:
    """Return the words of a cgroup's file; if it is missing or has another form, ``max``, which means no limit."""
    count = count or (2 if name == "cpu.max" else 1)
    try:
        words = (CGROUP / name).read_text(encoding="ascii").split()
    except OSError:
        words = []
    return words if len(words) == count else ["max"] * count


if __name__ == "__main__":
    print(usable_jobs())
