"""Campaigns killed at random moments; more with `python -m skalss.benchmarks ledger-kills --runs 100`."""

import signal
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only systems with SIGKILL")
def test_killed_campaigns_lose_nothing_and_buy_nothing_twice():
    # In a process without threads of pytest's, which a fork would not have.
    command = [sys.executable, "-m", "skalss.benchmarks", "ledger-kills", "--runs", "1", "--kills", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:])
    assert counts["good runs"] == "1 of 1"
    assert int(counts["kills between charge and answer"]) + int(counts["kills at a random moment"]) > 0
