"""Generated tables of README, CONTRIBUTING and docs/findings.md."""
