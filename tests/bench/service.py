"""How fast the service is: `uv run python tests/bench/service.py --help`."""

import runpy
import sys
from pathlib import Path

# Run as a file, this folder comes first on the path; the project should.
sys.path[0] = str(Path(__file__).parents[2])
runpy.run_module("tests.bench.measure", run_name="__main__", alter_sys=True)
