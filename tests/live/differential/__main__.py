"""``python -m tests.live.differential PROGRAMS [SEED]``: run random programs, and report."""
import sys
import warnings

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Differential


def main(programs, seed_):
    warnings.simplefilter("ignore")
    run_state_machine_as_test(seed(seed_)(Differential), settings=settings(
        max_examples=programs, stateful_step_count=14, deadline=None, database=None, print_blob=False,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink]))
    print(f"{programs} random programs, seed {seed_}: no difference that is not on the list")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
