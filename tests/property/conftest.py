"""How hard the property tests try: ``HYPOTHESIS_PROFILE=thorough`` for many more examples."""

import os

from hypothesis import HealthCheck, settings

#: A busy machine is slow now and then, and that is no fault of the product.
PATIENT = (HealthCheck.too_slow,)

settings.register_profile(
    "default",
    max_examples=100,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=PATIENT,
)
settings.register_profile(
    "thorough", max_examples=2000, deadline=None, suppress_health_check=PATIENT
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
