"""RecBole 1.2.1's MultiVAE on the splits of `benchmarks/figures/mult_vae.py`: `make benchmark-multivae`.

Reads `.bench/multivae/split-K.npz`, boolean matrices (users, items) that the figure wrote, trains for each
split and seed, and writes `scores-K-SEED.npz` beside it: logits of the validation and test users, seen items
not yet excluded, for the figure's ranking measure to judge. Network, batch, annealing and learning rate are
the paper's, as ours; epochs are chosen on the validation users of a split that no figure uses.

Found while reading it, and left as it is: in training RecBole draws z = mean + std · ε with ε ~ N(0, 0.01²).
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

WORK = Path(__file__).resolve().parent.parent.parent / ".bench" / "multivae"


class Prepared(NamedTuple):
    """What RecBole makes of events: model, trainer, batches, and its column of each of our items."""

    model: torch.nn.Module
    trainer: Any
    batches: Any
    columns: list[int]


def prepared(
    users: np.ndarray, items: np.ndarray, n_items: int, *, epochs: int, batch: int, anneal: int, seed: int
) -> Prepared:
    """RecBole's own, of events (users[i], items[i]); every item must have an event."""
    import pandas as pd
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender import MultiVAE
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    folder = WORK / "ml"
    folder.mkdir(parents=True, exist_ok=True)
    events = pd.DataFrame({"user_id:token": users, "item_id:token": items})
    events.to_csv(folder / "ml.inter", sep="\t", index=False)
    config = Config(
        model="MultiVAE",
        dataset="ml",
        config_dict={
            "data_path": str(WORK),
            "checkpoint_dir": str(WORK / "saved"),
            "epochs": epochs,
            "train_batch_size": batch,
            "mlp_hidden_size": [600],
            "latent_dimension": 400,  # of mean and log-variance together
            "dropout_prob": 0.5,
            "anneal_cap": 0.2,
            "total_anneal_steps": 5 * anneal,  # at which β would be 1
            "learning_rate": 1e-3,
            "train_neg_sample_args": None,
            "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "order": "RO", "group_by": None, "mode": "full"},
            "seed": seed,
            "use_gpu": False,
            "show_progress": False,
        },
    )
    init_seed(seed, True)
    dataset = create_dataset(config)
    batches, *_ = data_preparation(config, dataset)
    model = MultiVAE(config, batches.dataset)
    columns = dataset.token2id("item_id", [str(item) for item in range(n_items)])
    return Prepared(model, Trainer(config, model), batches, list(columns))


def train(
    seen: np.ndarray, *, epochs: int, batch: int, anneal: int, seed: int
) -> tuple[torch.nn.Module, list[int], float]:
    """RecBole's own model, trained on (users, items); its column of each of our items, and the seconds."""
    users, items = seen.nonzero()
    own = prepared(users, items, seen.shape[1], epochs=epochs, batch=batch, anneal=anneal, seed=seed)
    began = time.perf_counter()
    own.trainer.fit(own.batches, saved=False, verbose=False)
    return own.model.eval(), own.columns, time.perf_counter() - began


@torch.no_grad()
def scores(model: torch.nn.Module, columns: list[int], seen: np.ndarray) -> np.ndarray:
    """Logits (users, items) of users whom the model has never met, from the items they are seen with."""
    rows = torch.zeros(len(seen), max(columns) + 1)
    rows[:, columns] = torch.from_numpy(seen).float()
    logits, *_ = model(rows)
    return logits[:, columns].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--anneal", type=int, default=640, help="updates after which β is at its cap")
    parser.add_argument("--splits", type=int, nargs="*", default=range(5))
    parser.add_argument("--seeds", type=int, nargs="*", default=range(5))
    arguments = parser.parse_args()
    os.chdir(WORK)  # RecBole leaves its logs where it is run
    for split in arguments.splits:
        with np.load(WORK / f"split-{split}.npz", allow_pickle=False) as file:
            parts = dict(file)
        for seed in arguments.seeds:
            model, columns, seconds = train(
                parts["train"],
                epochs=arguments.epochs,
                batch=arguments.batch,
                anneal=arguments.anneal,
                seed=seed,
            )
            validation, test = (scores(model, columns, parts[name]) for name in ("validation", "test"))
            out = WORK / f"scores-{split}-{seed}.npz"
            np.savez(out, validation=validation, test=test, epochs=np.array(arguments.epochs))
            print(f"{arguments.epochs} epochs in {seconds:.1f} s: {out}", flush=True)


if __name__ == "__main__":
    main()
