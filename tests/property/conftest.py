"""The same examples in each run, however busy the computer is: what fails, fails again."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests", deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")
