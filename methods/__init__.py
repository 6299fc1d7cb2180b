"""One method a file; the file's name is the method's name on the command line."""

from usvi_bench.methods.base import Method, MethodConfig, Stage

__all__ = ["Method", "MethodConfig", "Stage"]
