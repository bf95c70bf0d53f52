"""Two datasets as the two domains of one: what is translated, and what it is translated to."""

import dataclasses
import hashlib
from typing import Any

from reparam.data.dataset import Data, Split
from reparam.errors import ReparamError


def pair(x: Data, other: Data, spec: dict[str, Any], *, disjoint: bool) -> Data:
    """x with the examples of `other` beside it, in every split.

    disjoint: rows of one number show the same thing in both (the same person in two styles): of train, x
    keeps the even rows and other the odd, so that nobody is seen in both. Validation and test keep all.

    Raises ReparamError if the two are not of one kind and shape, or are disjoint and unequal in rows.
    """
    if "tokens" in (x.kind, other.kind):
        raise ReparamError(
            f"{x.name} and {other.name}: the two sides of a text are lines that say the same; say so with "
            "--aligned (in Python, aligned=True)."
        )
    if (x.kind, x.shape) != (other.kind, other.shape):
        raise ReparamError(
            f"{x.name} holds {x.kind}s of shape {x.shape}, and {other.name} {other.kind}s of shape "
            f"{other.shape}; two domains need one shape: --size makes pictures equal."
        )
    if disjoint and x.train.n != other.train.n:
        raise ReparamError(
            f"{x.name} has {x.train.n:,} training rows and {other.name} {other.train.n:,}; "
            "--disjoint is for rows that show the same thing in both, which are equally many."
        )
    # A row is then the only one of its number: the even ones here, the odd ones there.
    step = 2 if disjoint else 1
    train = Split(
        x.train.x[::step],
        None if x.train.y is None else x.train.y[::step],
        other.train.x[step - 1 :: step],
    )
    return dataclasses.replace(
        x,
        name=f"{x.name} → {other.name}",
        spec=spec,
        levels=x.levels if x.levels == other.levels else "grey",
        train=train,
        validation=x.validation._replace(other=other.validation.x),
        test=x.test._replace(other=other.test.x),
        fingerprint=hashlib.sha256(f"{x.fingerprint} {other.fingerprint} {step}".encode()).hexdigest(),
        licence=f"{x.licence}; {other.licence}",
        source=f"{x.source}; {other.source}",
        attributes={
            name: {**splits, "train": splits["train"][::step]} for name, splits in x.attributes.items()
        },
        domains=(x.name, other.name),
    )
