"""Settings all tests share."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores. Threads of one that wait for a core another has spin, and take tens of times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

# No deadline: the first example compiles kernels, and continuous integration shares its cores.
settings.register_profile("workbench", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("workbench")
