"""Records of runs, and the table made from them: every figure in it traces to a committed record."""
