"""Static site with leaderboard, methods, runs and published figures; it needs neither server nor network."""
