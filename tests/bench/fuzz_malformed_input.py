"""Thousands of mutated files of every format through ingest: what became of them, and the seeds of all findings.

    python -m tests.bench.fuzz_malformed_input --cases 3000

A finding is a traceback, a hang, a crash, a row unaccounted for, or a refusal that is not one line or tells a value.
"""

import argparse
import sys
from collections import Counter

from tests.test_malformed_input import VALID, outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--format", choices=VALID, action="append")
    arguments = parser.parse_args()
    formats = arguments.format or list(VALID)
    seeds = range(arguments.first_seed, arguments.first_seed + -(-arguments.cases // len(formats)))
    cases = [(suffix, seed) for seed in seeds for suffix in formats]
    counts: Counter[tuple[str, str]] = Counter()
    findings = 0
    for suffix, seed, outcome in outcomes(cases):
        is_finding = outcome not in ("loaded", "refused")
        counts[suffix, "finding" if is_finding else outcome] += 1
        if is_finding:
            findings += 1
            print(f"{suffix} seed {seed}: {outcome}", flush=True)
    print(f"{'format':12} {'loaded':>8} {'refused':>8} {'findings':>9}")
    for suffix in formats:
        print(f"{suffix:12} {counts[suffix, 'loaded']:8} {counts[suffix, 'refused']:8} {counts[suffix, 'finding']:9}")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
