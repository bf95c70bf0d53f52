"""Tastes: a toy catalogue and the people who choose from it, drawn from a stated law."""

import numpy as np

from reparam.data.ratings import Ratings

GENRES = ("comedy", "crime", "drama", "fantasy", "history", "horror", "musical", "romance", "war", "western")
USERS, EACH = 3_000, 30


def tastes() -> Ratings:
    """3,000 users choose from 300 films of 10 genres: p(film | user) ∝ the user's taste for its genre, which
    is log-normal with σ = 2, × popularity, 1 / rank in the genre; 10 + exponential (mean 20) films, none
    twice"""
    draw = np.random.Generator(np.random.PCG64(300))
    items = np.arange(len(GENRES) * EACH)
    taste = 2.0 * draw.standard_normal((USERS, len(GENRES)))
    logits = taste[:, items % len(GENRES)] - np.log(1 + items // len(GENRES))
    # The first of a Gumbel order are draws without replacement (Yellott 1977).
    order = (logits - np.log(-np.log(draw.random(logits.shape)))).argsort(1)[:, ::-1]
    count = 10 + (-20 * np.log(1 - draw.random(USERS))).astype(np.int64)
    chosen = np.arange(len(items)) < count[:, None]
    users = np.nonzero(chosen)[0]
    titles = {str(i): f"{GENRES[i % len(GENRES)]} {1 + i // len(GENRES)}" for i in items.tolist()}
    return Ratings("tastes", "tastes", users, order[chosen], None, titles)
