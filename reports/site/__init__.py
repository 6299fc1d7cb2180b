"""The static site: leaderboard, methods, runs and the published field, for any browser, without server or network."""
