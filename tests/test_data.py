"""Data: what loads, what it becomes, and that every bad input has one clear error."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from reparam.data import Data, available, describe, hub, load, named
from reparam.errors import ReparamError

EMBEDDED = [entry.name for entry in available() if entry.embedded]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def grey_images(n: int = 40, side: int = 6) -> np.ndarray:
    return rng().integers(0, 256, (n, side, side)).astype(np.uint8)


def every(data: Data) -> dict[str, torch.Tensor]:
    return {"train": data.train.x, "validation": data.validation.x, "test": data.test.x}


def paint(path: Path, value: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng(value).integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    Image.fromarray(pixels.squeeze(), mode if mode != "L" else None).save(path)


def shared(name: str) -> None:
    try:
        named.shared_file(name)
    except ReparamError:
        pytest.skip(f"{name} is not in REPARAM_DATA or shared/data")


# Names


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data_are_as_listed(name: str) -> None:
    data, entry = load(name), describe(name)
    assert (data.kind, data.shape, data.name) == (entry.kind, entry.shape, name)
    assert (data.train.n, data.validation.n, data.test.n) == entry.n
    assert len(data.classes or ()) == entry.classes
    assert data.licence == entry.licence
    if data.train.y is not None:
        assert data.train.y.dtype == torch.int64
        assert set(data.train.y.tolist()) == set(range(entry.classes))


@pytest.mark.parametrize("name", ["digits", "avatars:adventurer", "25gaussians"])
def test_splits_are_disjoint(name: str) -> None:
    rows = [{row.tobytes() for row in x.flatten(1).numpy()} for x in every(load(name)).values()]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


def test_avatars_are_paired_over_styles() -> None:
    a, b = load("avatars"), load("avatars:pixelArt")
    assert a.name == "avatars:adventurer"
    for name in named.ATTRIBUTES:
        for split in ("train", "validation", "test"):
            assert_close(a.attributes[name][split], b.attributes[name][split])
    assert_close(a.attributes["hair"]["test"], a.test.y)
    # The background is drawn alike in both styles: the rows do belong together.
    assert (a.train.x[:, :, 0, 0] == b.train.x[:, :, 0, 0]).all()


def test_embedded_files_keep_their_budget() -> None:
    assert sum(f.stat().st_size for f in named.EMBEDDED.iterdir()) < 6_000_000


def test_mnist_keeps_the_official_test_set() -> None:
    shared("mnist.npz")
    data = load("mnist")
    with np.load(named.shared_file("mnist.npz")) as file:
        assert_close(data.test.x[:, 0], torch.tensor(file["x_test"]))
        kept = np.sort(torch.cat([data.train.x, data.validation.x]).sum((1, 2, 3)).numpy())
        assert_close(kept, np.sort(file["x_train"].sum((1, 2)).astype(np.int64)))
    assert (data.train.n, data.validation.n, data.test.n) == (55_000, 5_000, 10_000)


def test_unnamed_data_come_from_reparam_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPARAM_DATA", str(tmp_path))
    with pytest.raises(ReparamError, match="REPARAM_DATA"):
        load("mnist")
    x, y = np.zeros((5_020, 28, 28), np.uint8), np.zeros(5_020, np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    assert load("mnist").train.n == 20
    monkeypatch.delenv("REPARAM_DATA")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReparamError, match="set REPARAM_DATA"):
        load("mnist")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "mnist.npz").rename(tmp_path / "shared" / "data" / "mnist.npz")
    (tmp_path / "project" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "deep")
    assert load("mnist").test.n == 3


def test_gaussians_lie_on_their_grid() -> None:
    data = load("25gaussians")
    batch = data.batch(data.train, torch.arange(data.train.n))
    modes = torch.stack([batch["x"][batch["y"] == k].mean(0) for k in range(25)])
    assert_close(modes, 2 * (modes / 2).round(), atol=0.01, rtol=0)
    assert len({tuple(m) for m in (modes / 2).round().tolist()}) == 25
    residual = batch["x"] - 2 * (batch["x"] / 2).round()
    assert_close(residual.std(), torch.tensor(0.05), rtol=0.02, atol=0)
    ring = load("8gaussians").train.x
    assert_close(ring.norm(dim=1).mean(), torch.tensor(2.0), rtol=0.001, atol=0)


# Splits, fingerprints, specs


def test_loading_is_deterministic_and_leaves_the_global_generators_alone() -> None:
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    a = load("digits", binarise="dynamic")
    b = load(json.loads(json.dumps(a.spec)))
    assert a.fingerprint == b.fingerprint
    assert_close(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == legacy).all()  # noqa: NPY002


def test_a_user_split_is_a_partition_and_follows_its_seed() -> None:
    x = np.arange(100 * 4, dtype=np.uint8).reshape(100, 2, 2) % 251
    x[:, 0, 0] = np.arange(100)
    a, again, b = load(x), load(x), load(x, seed=1)
    ids = {name: set(v[:, 0, 0, 0].tolist()) for name, v in every(a).items()}
    assert [len(v) for v in ids.values()] == [80, 10, 10]
    assert set.union(*ids.values()) == set(range(100))
    assert a.fingerprint == again.fingerprint != b.fingerprint


def test_labels_stay_with_their_rows() -> None:
    x = np.repeat(np.arange(60, dtype=np.uint8)[:, None, None] * 4, 3, 1).repeat(3, 2)
    data = load({"x": x, "y": np.arange(60) // 6})
    for split in (data.train, data.validation, data.test):
        assert split.y is not None
        assert_close(split.x[:, 0, 0, 0].long() // 24, split.y)


def test_a_missing_split_is_drawn_from_train() -> None:
    x = grey_images(50)
    data = load({"x_train": x, "x_test": x[:7]})
    assert (data.train.n, data.validation.n, data.test.n) == (45, 5, 7)
    assert_close(data.test.x[:, 0], torch.tensor(x[:7]))


@pytest.mark.parametrize("what", ["pixel", "label", "order", "classes"])
def test_the_fingerprint_notices(what: str) -> None:
    x, y = grey_images(), np.array(["a", "b"] * 20)
    before = load({"x": x, "y": y}).fingerprint
    if what == "pixel":
        x[7, 0, 0] ^= 1
    elif what == "label":
        y[3] = "a"
    elif what == "order":
        x = x[::-1]
    else:
        y = np.where(y == "a", "a", "c")
    assert load({"x": x, "y": y}).fingerprint != before


def test_the_data_do_not_alias_what_they_were_made_from() -> None:
    x = grey_images()[:, None]
    data = load({"x_train": x, "x_validation": x, "x_test": x})
    before = data.train.x.clone()
    x[:] = 0
    assert_close(data.train.x, before)


# Batches and binarisation


def test_a_batch_is_a_pure_function() -> None:
    data = load("digits", mirror=True)
    rows, flip = torch.tensor([5, 3, 3, 7_999]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    resident = data.train.x.clone()
    a, b = (data.batch(data.train, rows, flip=flip) for _ in range(2))
    assert_close(a["x"], b["x"], rtol=0, atol=0)
    assert_close(data.train.x, resident)
    assert (a["x"].dtype, a["y"].dtype, tuple(a["x"].shape)) == (torch.float32, torch.int64, (4, 1, 28, 28))
    assert_close(a["x"][2], a["x"][1].flip(-1))
    assert_close(a["x"][1], data.train.x[3].float() / 255)
    assert_close(data.batch(data.train, rows)["x"][0], a["x"][0].flip(-1))
    whole = data.batch(data.train, torch.arange(10))["x"]
    assert_close(data.batch(data.train, torch.tensor([4]))["x"][0], whole[4])


def test_dynamic_binarisation_has_the_grey_level_as_its_probability() -> None:
    data = load("digits", binarise="dynamic")
    assert data.levels == "binary"
    rows, draw = torch.tensor([11]).expand(4_000), torch.Generator().manual_seed(0)
    assert list(data.noise()) == ["binarise"]
    u = torch.rand((4_000, *data.noise()["binarise"].shape), generator=draw)
    x = data.batch(data.train, rows, binarise=u)["x"]
    p = data.train.x[11].float() / 255
    assert set(x.unique().tolist()) == {0.0, 1.0}
    error = (x.mean(0) - p).abs() / ((p * (1 - p) / 4_000).sqrt() + 1e-9)
    assert error.max() < 5
    assert (x[:, p == 0] == 0).all()
    assert (x[:, p == 1] == 1).all()
    # u is 0 once in 2²⁴ draws: ink where there is none, were it not for the strict inequality.
    lowest = data.batch(data.train, rows[:1], binarise=torch.zeros(1, 1, 28, 28))["x"]
    assert_close(lowest[0], (p > 0).float())


def test_held_out_splits_are_binarised_once_and_alike() -> None:
    grey, static, dynamic = (load("digits", binarise=b) for b in ("none", "static", "dynamic"))
    for split in ("validation", "test"):
        fixed = getattr(dynamic, split)
        assert_close(fixed.x, getattr(static, split).x)
        assert set(fixed.x.unique().tolist()) == {0, 255}
        # 784,000 Bernoulli draws of mean p: four standard errors of their average.
        p = getattr(grey, split).x.double() / 255
        tolerance = 4 * (p * (1 - p)).sum().sqrt().item() / p.numel()
        assert_close(fixed.x.double().mean() / 255, p.mean(), atol=tolerance, rtol=0)
    assert_close(dynamic.train.x, grey.train.x)
    assert set(static.train.x.unique().tolist()) == {0, 255}
    assert (static.levels, static.noise(), grey.levels) == ("binary", {}, "grey")
    # Noise leaves what is binary already as it was, so a caller need not know which split it has.
    rows = torch.arange(8)
    u = torch.rand((8, 1, 28, 28))
    assert_close(dynamic.batch(dynamic.test, rows, binarise=u)["x"], dynamic.batch(dynamic.test, rows)["x"])


def test_threshold_and_black_and_white_data() -> None:
    x = grey_images()
    data = load(x, binarise="threshold")
    assert data.levels == "binary"
    assert_close(data.batch(data.train, torch.arange(5))["x"], (load(x).train.x[:5] > 127).float())
    assert load((x > 99).astype(np.uint8)).levels == "binary"
    assert load(x > 99).levels == "binary"
    assert load((x > 99).astype(np.float32)).levels == "binary"


def test_noise_that_is_missing_unknown_or_misshapen() -> None:
    data, rows = load("digits", binarise="dynamic"), torch.arange(4)
    with pytest.raises(ReparamError, match="pass the noise `binarise`"):
        data.batch(data.train, rows)
    with pytest.raises(ReparamError, match="did you mean 'binarise'"):
        data.batch(data.train, rows, binarize=torch.rand(4, 1, 28, 28))
    with pytest.raises(ReparamError, match=r"shape \(4, 28, 28\)"):
        data.batch(data.train, rows, binarise=torch.rand(4, 28, 28))


def test_to_keeps_everything() -> None:
    data = load("avatars").to("cpu")
    assert_close(data.train.x, load("avatars").train.x)
    moved = load("avatars").to("meta")
    assert moved.test.x.device.type == moved.attributes["skin"]["train"].device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_are_the_same_on_a_cuda_device() -> None:
    data = load("digits", binarise="dynamic", mirror=True)
    rows = torch.arange(64)
    noise = {"binarise": torch.rand(64, 1, 28, 28), "flip": (torch.rand(64) < 0.5).float()}
    there = data.to("cuda")
    x = there.batch(there.train, rows, **noise)["x"]
    assert x.is_cuda
    assert_close(x.cpu(), data.batch(data.train, rows, **noise)["x"], rtol=0, atol=0)


# Arrays and tables


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (np.zeros((20, 5, 7), np.uint8), (1, 5, 7)),
        (np.zeros((20, 5, 7, 3), np.uint8), (3, 5, 7)),
        (np.zeros((20, 3, 5, 7), np.uint8), (3, 5, 7)),
        (np.zeros((20, 5, 7, 4), np.uint8), (3, 5, 7)),
        (torch.zeros(20, 1, 5, 7), (1, 5, 7)),
        (np.zeros((20, 9)), (9,)),
    ],
)
def test_array_layouts(x: np.ndarray | torch.Tensor, shape: tuple[int, ...]) -> None:
    assert load(x).shape == shape


def test_channels_and_transparency_land_in_place() -> None:
    x = np.zeros((20, 6, 5, 4), np.uint8)
    x[..., 0], x[..., 3] = 200, 255
    x[:, 0, 0, 3] = 0
    train = load(x).train.x
    assert train[0, :, 1, 1].tolist() == [200, 0, 0]
    assert train[0, :, 0, 0].tolist() == [255, 255, 255]


def test_an_npz_says_the_same_as_memory(tmp_path: Path) -> None:
    x, y = grey_images(), np.arange(40) % 3
    np.savez(tmp_path / "a.npz", x=x / 255, y=y)
    np.save(tmp_path / "a.npy", x)
    a = load(tmp_path / "a.npz")
    assert a.fingerprint == load({"x": torch.tensor(x), "y": torch.tensor(y)}).fingerprint
    assert load(a.spec).fingerprint == a.fingerprint
    assert_close(load(str(tmp_path / "a.npy")).train.x, a.train.x)
    assert a.classes == ("0", "1", "2")


def test_vectors_are_standardised_and_back() -> None:
    x = rng().normal(5, [1e-9, 3.0, 1.0], (200, 3))
    x[:, 2] = 0.1
    data = load(x)
    assert (data.kind, data.levels) == ("vector", "real")
    assert_close(data.train.x[:, :2].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    assert_close(data.train.x[:, :2].std(0, correction=0), torch.ones(2), atol=1e-5, rtol=0)
    assert (data.train.x[:, 2] == 0).all()
    raw = load(x, standardise=False)
    assert_close(data.destandardise(data.test.x), raw.test.x)
    binary = load((x > 5).astype(np.float32))
    assert binary.levels == "binary"
    assert binary.scale is None


def test_tables(tmp_path: Path) -> None:
    lines = [f"{i},{i * i},{'cat' if i % 2 else 'dog'}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,label", *lines]))
    data = load(tmp_path / "t.csv")
    assert (data.shape, data.classes) == ((2,), ("cat", "dog"))
    a = data.destandardise(data.train.x)[:, 0].round().long()
    assert_close(data.train.y, 1 - a % 2)
    (tmp_path / "bare.csv").write_text("\n".join(f"{i},{-i}" for i in range(30)))
    assert load(tmp_path / "bare.csv").classes is None
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"a": range(30), "b": [i * i for i in range(30)], "label": ["dog", "cat"] * 15}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet").fingerprint == data.fingerprint


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.parquet").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReparamError, match=r"reparam\[tables\]"):
        load(tmp_path / "t.parquet")


# Folders


def test_a_folder_with_classes(tmp_path: Path) -> None:
    for i in range(12):
        paint(tmp_path / ("cat" if i % 2 else "dog") / "deep" / f"{i}.png", i)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "cat" / "._1.png").write_text("left by an archive")
    data = load(tmp_path)
    assert (data.shape, data.classes, data.name) == ((3, 8, 8), ("cat", "dog"), tmp_path.name)
    assert (data.train.n, data.validation.n, data.test.n) == (10, 1, 1)
    expected = {
        np.asarray(Image.open(f)).transpose(2, 0, 1).tobytes(): f.parts[-3]
        for f in tmp_path.rglob("deep/*.png")
    }
    for split in (data.train, data.validation, data.test):
        assert split.y is not None
        for x, y in zip(split.x, split.y.tolist(), strict=True):
            assert expected[x.numpy().tobytes()] == data.classes[y]
    assert load(data.spec).fingerprint == data.fingerprint


def test_grey_stays_grey_and_mixed_becomes_colour(tmp_path: Path) -> None:
    for i in range(10):
        paint(tmp_path / f"{i}.png", i, mode="L")
    grey = load(tmp_path)
    assert (grey.shape, grey.classes) == ((1, 8, 8), None)
    paint(tmp_path / "9.png", 9)
    mixed = load(tmp_path)
    assert mixed.shape == (3, 8, 8)
    first = Image.open(tmp_path / "0.png").convert("RGB")
    assert np.asarray(first).transpose(2, 0, 1).tobytes() in {
        row.numpy().tobytes() for x in every(mixed).values() for row in x
    }


def test_transparency_is_laid_on_white_and_16_bits_are_cut(tmp_path: Path) -> None:
    for i in range(10):
        Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / f"{i}.png")
    assert (load(tmp_path).train.x == 255).all()
    for i in range(10):
        Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / f"{i}.png")
    assert (load(tmp_path).train.x == 40_000 >> 8).all()


def test_a_folder_may_come_split(tmp_path: Path) -> None:
    for split, n in (("train", 6), ("val", 2), ("test", 3)):
        for i in range(n):
            paint(tmp_path / split / ("b" if split == "test" or i % 2 else "a") / f"{i}.png", i)
    data = load(tmp_path)
    assert (data.train.n, data.validation.n, data.test.n) == (6, 2, 3)
    assert data.test.y is not None
    assert (data.classes, data.test.y.tolist()) == (("a", "b"), [1, 1, 1])
    paint(tmp_path / "extra" / "0.png")
    with pytest.raises(ReparamError, match="extra"):
        load(tmp_path)


def test_sizes_mixed(tmp_path: Path) -> None:
    for i in range(10):
        paint(tmp_path / f"{i}.png", i, size=(12, 8) if i == 7 else (8, 8))
    with pytest.raises(ReparamError, match=r"0\.png is 8×8 and 7\.png is 12×8"):
        load(tmp_path)
    assert load(tmp_path, size=4).shape == (3, 4, 4)


def test_size_crops_the_centre() -> None:
    x = np.zeros((10, 8, 16), np.uint8)
    x[:, :, 4:12] = 200
    assert (load(x, size=4).train.x == 200).all()


def test_a_corrupt_file_is_named_or_skipped(tmp_path: Path) -> None:
    for i in range(12):
        paint(tmp_path / f"{i}.png", i)
    (tmp_path / "5.png").write_bytes((tmp_path / "5.png").read_bytes()[:60])
    (tmp_path / "6.jpg").write_bytes(b"not a picture")
    with pytest.raises(ReparamError, match=r"5\.png cannot be read.*skip_bad"):
        load(tmp_path)
    with pytest.warns(UserWarning, match=r"skipped 2 unreadable: 5\.png, 6\.jpg"):
        data = load(tmp_path, skip_bad=True)
    assert data.train.n + data.validation.n + data.test.n == 11


# The hub


def test_the_hub_without_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ReparamError, match=r"reparam\[hub\]"):
        load("hub:owner/name")


def picture_dataset(n: int = 20):  # -> datasets.Dataset
    datasets = pytest.importorskip("datasets")
    images = [Image.fromarray(rng(i).integers(0, 256, (6, 6), dtype=np.uint8)) for i in range(n)]
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"])})
    return datasets.Dataset.from_dict({"img": images, "label": [i % 2 for i in range(n)]}, features=features)


def test_a_hub_dataset_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path))
    dataset = picture_dataset()
    monkeypatch.setattr(hub, "_load", lambda name, where: {"train": dataset, "test": dataset})
    first = load("hub:owner/name")
    assert (first.shape, first.classes, first.test.n) == ((1, 6, 6), ("no", "yes"), 20)
    assert first.test.y is not None
    assert first.test.y.tolist() == [0, 1] * 10
    assert first.test.x[3, 0].numpy().tolist() == np.asarray(dataset[3]["img"]).tolist()
    monkeypatch.setattr(hub, "_load", lambda name, where: pytest.fail("asked the hub again"))
    assert load("hub:owner/name").fingerprint == first.fingerprint


def test_a_local_hub_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    picture_dataset().save_to_disk(tmp_path / "saved")
    data = load(f"hub:{tmp_path / 'saved'}")
    assert (data.shape, data.classes, data.train.n) == ((1, 6, 6), ("no", "yes"), 16)


def test_a_hub_table() -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict(
        {"a": [0.5 * i for i in range(20)], "label": [i % 4 for i in range(20)]}
    )
    raw = hub.from_splits({"train": table}, "hub:table", None)
    assert raw.parts["train"].x.tolist() == [[0.5 * i] for i in range(20)]
    assert raw.parts["train"].y is not None
    assert raw.parts["train"].y.tolist() == [i % 4 for i in range(20)]


# Bad input: one clear error each


class Trap:
    """Unpickling it would be noticed."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


BAD_ARRAYS = {
    "nan": (lambda x: x.__setitem__((3, 1), np.nan), r"in memory holds nan in row 3 \(from 0\), column 1"),
    "infinite": (lambda x: x.__setitem__((4, 0), np.inf), "`x` holds inf in row 4"),
    "too large for float32": (lambda x: x.__setitem__((4, 0), 1e300), "row 4"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_numbers_that_are_none(case: str) -> None:
    x = rng().normal(size=(20, 2))
    spoil, message = BAD_ARRAYS[case]
    spoil(x)
    with pytest.raises(ReparamError, match=message):
        load(x)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digist", "did you mean 'digits'"),
        ("avatars:pixelart", "did you mean 'avatars:pixelArt'"),
        ("/no/such/folder", "does not exist"),
        ("missing.npz", "does not exist"),
        (Path("missing"), "does not exist"),
        ("memory", "pass the same array"),
        (np.zeros(20), r"shape \(20,\)"),
        (np.zeros((20, 5, 6, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((20, 3, 5, 3), np.uint8), "channels first or channels last"),
        (np.zeros((9, 5, 5), np.uint8), "9 rows are too few"),
        (np.zeros((0, 5, 5), np.uint8), "train split is empty"),
        (np.full((20, 4, 4), 7.5), r"outside \[0, 1\], the first in row 0"),
        (np.full((20, 4, 4), 300), r"outside \[0, 255\]"),
        (np.full((20, 2), "word"), "needs numbers"),
        ({"z": np.zeros((20, 2))}, "holds `z`; it needs `x`"),
        ({"x": np.zeros((20, 2)), "x_train": np.zeros((20, 2))}, "both `x` and `x_train`"),
        ({"x": np.zeros((20, 2)), "y": np.zeros(19, int)}, "19 for 20 rows"),
        ({"x": np.zeros((20, 2)), "y": np.zeros((20, 2), int)}, "one class per row"),
        ({"x": np.zeros((20, 2)), "y": np.full(20, 0.5)}, "not whole numbers: row 0 holds 0.5"),
        ({"x": np.zeros((20, 2)), "y": np.array([None] * 20)}, "integers or strings"),
        ({"x_train": np.zeros((20, 2)), "x_test": np.zeros((5, 3))}, "differ in the shape"),
        ({"x_train": np.zeros((20, 2)), "x_test": np.zeros((0, 2))}, "test split is empty"),
        ({"x_train": np.zeros((20, 2)), "y_train": np.ones(20), "x_test": np.zeros((5, 2))}, "label every"),
    ],
)
def test_bad_specs(spec: object, message: str) -> None:
    with pytest.raises(ReparamError, match=message):
        load(spec)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n" + "1,x\n" * 12, "column b is not numeric"),
        ("a,b\n" + "1,2\n" * 12 + "1,\n", r"nan in row 12 \(from 0\), column b"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells where there are 2"),
        ("", "is empty"),
        ("a,b\n", "split is empty"),
        ("a,a\n1,2\n", "two columns named 'a'"),
        ("y,label,a\n1,2,3\n", "label columns y and label"),
        ("label\nx\n", "no column of numbers"),
        ("a,label\n" + "1,x\n" * 12 + "1,\n", "row 12 .* no label"),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ReparamError, match=message):
        load(_write(tmp_path / "t.csv", content))


def test_bad_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", x=np.array([Trap()] * 20, object))
    np.save(tmp_path / "pickled.npy", np.array([Trap()] * 20, object), allow_pickle=True)
    for name in ("pickled.npz", "pickled.npy"):
        with pytest.raises(ReparamError, match=r"pickled\.np. holds pickled objects"):
            load(tmp_path / name)
    for name in ("noise.npz", "noise.npy", "noise.parquet"):
        with pytest.raises(ReparamError, match=r"noise\.") as error:
            load(_write(tmp_path / name, "this is no such file"))
        assert "save" in str(error.value) or "reparam[tables]" in str(error.value)
    (tmp_path / "latin.csv").write_bytes(b"a\n\xff\n")
    with pytest.raises(ReparamError, match="UTF-8"):
        load(tmp_path / "latin.csv")
    with pytest.raises(ReparamError, match=r"cannot read \.doc"):
        load(_write(tmp_path / "a.doc", "1"))


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match="holds no pictures"):
        load(tmp_path)
    for i in range(9):
        paint(tmp_path / "few" / f"{i}.png", i)
    with pytest.raises(ReparamError, match="9 pictures; at least 10"):
        load(tmp_path / "few")
    for i in range(12):
        paint(tmp_path / "stray" / ("a" if i % 2 else "b") / f"{i}.png", i)
    paint(tmp_path / "stray" / "lost.png")
    with pytest.raises(ReparamError, match=r"lost\.png"):
        load(tmp_path / "stray")


def test_bad_options() -> None:
    with pytest.raises(ReparamError, match="did you mean 'dynamic'"):
        load("digits", binarise="dynamc")  # type: ignore[arg-type]
    with pytest.raises(ReparamError, match="at least 1"):
        load("digits", size=0)
    with pytest.raises(ReparamError, match="must not be negative"):
        load("25gaussians", seed=-1)
    with pytest.raises(ReparamError, match="did you mean 'binarise'"):
        load({"spec": "digits", "binarize": "static"})
    for option in ({"binarise": "static"}, {"size": 8}, {"mirror": True}):
        with pytest.raises(ReparamError, match="for images only"):
            load("25gaussians", **option)
    with pytest.raises(ReparamError, match="cannot be changed"):
        load(load("25gaussians"), seed=1)
    with pytest.raises(ReparamError, match="did you mean 'digits'"):
        describe("digit")


def test_labels_that_are_needed() -> None:
    assert load("digits").require_labels("conditional VAE") == tuple("0123456789")
    with pytest.raises(ReparamError, match="conditional VAE needs labels, and 'memory' has none"):
        load(grey_images()).require_labels("conditional VAE")


def test_importing_data_imports_no_extra() -> None:
    code = "import sys, reparam.data; print({'pyarrow', 'datasets', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
