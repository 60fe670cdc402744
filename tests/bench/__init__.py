"""Benchmarks: every claim about speed, measured. `python -m tests.bench [NAME ...]`; see docs/performance.md."""
