"""Command ``python -m tests.faults.corpus``: try every hostile case, print a table and a line per fault."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.faults.corpus.case import Outcome
from tests.faults.corpus.cases import KINDS, cases, warm

VERDICTS = ("clear", "accepted", "wrong", "unclear", "traceback", "hang")


def main() -> int:
    """Return 1 if any case is a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.corpus", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the cases")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--only", default="", help="try the cases whose name holds this text, and print their outcome")
    options = parser.parse_args()
    warm()
    counts: dict[str, Counter[str]] = {}
    faults = list[str]()
    slowest = ("", 0.0)
    for case in cases(options.seed, tuple(options.kinds)):
        if options.only not in case.name:
            continue
        outcome = case.run()
        counts.setdefault(case.kind, Counter())[outcome.verdict] += 1
        slowest = max(slowest, (f"{case.kind}: {case.name}", outcome.seconds), key=lambda item: item[1])
        if outcome.faulty:
            faults.append(f"{outcome.verdict}: {case.kind}: {case.name}: {_short(outcome)}")
        if options.only:
            print(f"{case.name}: {outcome.verdict}: {outcome.text}")
    print("\n".join([*table(counts), *faults, f"slowest: {slowest[0]} ({slowest[1]:.1f} s)"]))
    return int(bool(faults))


def table(counts: dict[str, Counter[str]]) -> list[str]:
    """Return the lines of the table: kinds by verdicts."""
    rows = {**counts, "all": sum(counts.values(), Counter[str]())}
    lines = ["".join([f"{'kind':<12}", *(f"{name:>11}" for name in ("tried", *VERDICTS))])]
    for kind, row in rows.items():
        lines.append(f"{kind:<12}{row.total():>11}" + "".join(f"{row[verdict]:>11}" for verdict in VERDICTS))
    return lines


def _short(outcome: Outcome) -> str:
    lines = outcome.text.strip().splitlines() or [""]
    return (lines[-1] if outcome.verdict == "traceback" else " / ".join(lines))[:300]


if __name__ == "__main__":
    sys.exit(main())
