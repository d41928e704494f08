"""Call everything public with wrong values, and count the calls that end unclear, hang or crash.

Calls are made up from the signatures: a good call, in which one or two arguments are replaced by a hostile
value. Each runs in an empty folder, with a limit of time and of memory, in a process that is started again
after a crash. What counts as clear, `verdict` says. Outcomes are written as they come, a line of JSON for
each; the same command goes on where it stopped.

Example: ``python -m skalss.benchmarks fuzz --calls 10000 --seed 0 --write fuzz.jsonl``
"""

from .command import main

__all__ = ["main"]
