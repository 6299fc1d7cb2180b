"""Selection of a command and translation of errors to exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from usvi_bench.cli.commands import COMMANDS
from usvi_bench.cli.failures import interruption_status, open_streams, raise_on_signals, write_log
from usvi_bench.core.errors import (
    LostProcessError,
    StorageError,
    UsageError,
    WorkerError,
    describe_os_error,
    did_you_mean,
    printable,
)
from usvi_bench.core.options import command, program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        Exit status: 0, 2 for an error in the input or a missing package, 1 for a failed write, a lost process or an
        unexpected error, 128 plus the number of a signal for an interruption.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ["MPLBACKEND"] = "agg"  # a notebook exports a backend that exists in its kernel only
    open_streams()
    if arguments is None:
        raise_on_signals()
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
        print(f"{program()}: {printable(error)}", file=sys.stderr)
        return 2
    except (StorageError, LostProcessError, WorkerError) as error:
        print(f"{program()}: {printable(error)}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"{program()}: {printable(describe_os_error(error))} (traceback: {write_log(error)})", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"{program()}: interrupted. To start again: {command(*words)}", file=sys.stderr)
        return interruption_status(error)
    except ModuleNotFoundError as error:
        print(
            f"{program()}: no package '{error.name}' in this Python, {sys.executable}; install the suite with "
            "'make setup' and use .venv/bin/python, or with 'pip install .'",
            file=sys.stderr,
        )
        return 2
    except Exception as error:
        print(
            f"{program()}: unexpected {type(error).__name__}: {printable(' '.join(str(error).split())):.200}\n"
            f"The traceback is in {write_log(error)}; please report it with this file",
            file=sys.stderr,
        )
        return 1
    return 0


def _refuse_several_processes(command: str) -> None:
    from usvi_bench.core.distributed.process_info import process_info

    if process_info().world_size > 1:
        raise UsageError(f"'{command}' runs in one process; do not start it with torchrun or srun")
