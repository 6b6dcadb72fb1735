"""Settings that must be in place before any test module or notebook kernel starts."""

import os

# One thread a process: two test workers on two cores then run side by side instead of fighting (4x faster).
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nothing here needs the hub; without this an unreachable hub costs 23 s of retries for each file.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
