"""RecBole 1.2.1's MultiVAE on MovieLens-100k, users held out: `make benchmark-multivae`.

The split is that of Liang et al. 2018 (arXiv:1802.05814): ratings above 3.5 count, users with five or more
are kept, 100 users each validate and test; of these a fifth of the items is held out, and the rest is shown
to the model. Writes `split.npz` and `scores.npz` (users × items, before seen items are excluded) to
`.bench/multivae`, for a ranking measure to judge; choose epochs on the validation users alone.

Found while reading it, and left as it is: in training RecBole draws z = mean + std · ε with ε ~ N(0, 0.01²).
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

WORK = Path(__file__).parent.parent.parent / ".bench" / "multivae"
HELD_OUT_USERS, SEED = 100, 98765


def split(ratings: Path) -> dict[str, np.ndarray]:
    """Binary matrices (users, items) of the items seen in training, and of both halves of held-out users.

    Items are those that some training user has. Who keeps less than five of them has nothing held out.
    """
    with np.load(ratings, allow_pickle=False) as file:
        likes = np.zeros((int(file["user"].max()) + 1, int(file["item"].max()) + 1), bool)
        liked = file["rating"] > 3.5
        likes[file["user"][liked], file["item"][liked]] = True
    rng = np.random.Generator(np.random.PCG64(SEED))
    likes = likes[likes.sum(1) >= 5]
    likes = likes[rng.random(len(likes)).argsort(kind="stable")]
    parts = {"validation": likes[:HELD_OUT_USERS], "test": likes[HELD_OUT_USERS : 2 * HELD_OUT_USERS]}
    train = likes[2 * HELD_OUT_USERS :]
    known = train.any(0)
    found = {"train": train[:, known]}
    for name, part in parts.items():
        part = part[:, known]
        # A fifth of each user's own items, by rank among as many uniform draws.
        rank = np.where(part, rng.random(part.shape), np.inf).argsort(1).argsort(1)
        held_out = part & (rank < part.sum(1, keepdims=True) // 5)
        found |= {f"{name}_seen": part & ~held_out, f"{name}_held_out": held_out}
    return found


def train(seen: np.ndarray, epochs: int, batch: int, seed: int) -> tuple[torch.nn.Module, list[int], float]:
    """RecBole's own model and trainer on (users, items); its column of each of our items, and the seconds."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender import MultiVAE
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    folder = WORK / "ml"
    folder.mkdir(exist_ok=True)
    lines = [f"{user}\t{item}" for user, item in zip(*seen.nonzero(), strict=True)]
    (folder / "ml.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n")
    config = Config(
        model="MultiVAE",
        dataset="ml",
        config_dict={
            "data_path": str(WORK),
            "checkpoint_dir": str(WORK / "saved"),
            "epochs": epochs,
            "train_batch_size": batch,
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
    began = time.perf_counter()
    Trainer(config, model).fit(batches, saved=False, verbose=False)
    seconds = time.perf_counter() - began
    columns = dataset.token2id("item_id", [str(item) for item in range(seen.shape[1])])
    return model.eval(), list(columns), seconds


@torch.no_grad()
def scores(model: torch.nn.Module, columns: list[int], seen: np.ndarray) -> np.ndarray:
    """Logits (users, items) of users whom the model has never met, from the items they are seen with."""
    rows = torch.zeros(len(seen), max(columns) + 1)
    rows[:, columns] = torch.from_numpy(seen).float()
    logits, *_ = model(rows)
    return logits[:, columns].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ratings", type=Path, default=Path(os.environ.get("REPARAM_DATA", "shared/data")))
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    parts = split(arguments.ratings / "movielens100k.npz")
    np.savez_compressed(WORK / "split.npz", **parts)
    model, columns, seconds = train(parts["train"], arguments.epochs, arguments.batch, arguments.seed)
    found = {name: scores(model, columns, parts[f"{name}_seen"]) for name in ("validation", "test")}
    np.savez_compressed(WORK / "scores.npz", **found)
    users, items = parts["train"].shape
    print(
        f"{users} users, {items} items, {arguments.epochs} epochs in {seconds:.1f} s: {WORK / 'scores.npz'}"
    )


if __name__ == "__main__":
    main()
