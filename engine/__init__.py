"""What every run shares: configuration, seeding, the train loop, checkpoints, journal and record."""
