"""Settings all tests share."""

from hypothesis import HealthCheck, settings

# No deadline: the first example compiles kernels, and continuous integration shares its cores.
settings.register_profile("workbench", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("workbench")
