"""Generated tables and figures of README, CONTRIBUTING and the findings."""
