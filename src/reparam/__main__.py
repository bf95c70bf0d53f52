"""`python -m reparam`, and what torchrun starts: `torchrun --nproc-per-node 2 -m reparam train …`."""

import os
import sys

from reparam.cli import main

code = main()
if int(os.environ.get("WORLD_SIZE", 1)) > 1:
    # gloo's threads may still be letting go of tensors when the interpreter is taken down, and then abort a
    # run that is done and saved (pytorch/pytorch#179291; seen once in ten runs). So it is not taken down.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
sys.exit(code)
