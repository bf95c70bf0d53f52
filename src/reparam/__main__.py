"""`python -m reparam`, and what torchrun starts: `torchrun --nproc-per-node 2 -m reparam train …`."""

import sys

from reparam.cli import main

sys.exit(main())
