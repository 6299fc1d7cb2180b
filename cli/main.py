"""Selection of a command and translation of errors to exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from usvi_bench.cli.commands import COMMANDS
from usvi_bench.core.errors import LostProcessError, StorageError, UsageError, did_you_mean
from usvi_bench.core.options import program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        Exit status: 0 for success, 2 for a wrong option or setting, 1 for a failed write or a lost process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in COMMANDS:
            _refuse_several_processes(words[0])
            import_module(COMMANDS[words[0]]).main(words[1:])
        elif words and not words[0].startswith("-"):
            raise UsageError(f"unknown command '{words[0]}': {did_you_mean(words[0], COMMANDS)}")
        else:
            import_module("usvi_bench.cli.train").main(words)
        sys.stdout.flush()
    except UsageError as error:
        print(f"{program()}: {error}", file=sys.stderr)
        return 2
    except (StorageError, LostProcessError) as error:
        print(f"{program()}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _refuse_several_processes(command: str) -> None:
    from usvi_bench.core.distributed.process_info import process_info

    if process_info().world_size > 1:
        raise UsageError(f"'{command}' runs in one process; do not start it with torchrun or srun")
