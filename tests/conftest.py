"""One thread a process: on small models more of them only get in each other's way."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start, too

import torch

torch.set_num_threads(1)
