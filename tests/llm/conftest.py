"""The fault-injecting server is a module of these tests, and of benchmarks: found by its folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
