"""Data of the user's own: arrays in files, data sets of torch and of Hugging Face, held or read by the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from plugin_files import Written
from pydantic import Field, TypeAdapter
from torch import Tensor

from nc_bench.config import Data
from nc_bench.config.data import DATA_BY_NAME
from nc_bench.data import Dataset, Images, load_dataset
from nc_bench.data.own import Rows
from nc_bench.errors import DataError, UserError

ANY: TypeAdapter[Any] = TypeAdapter(Annotated[Data, Field(discriminator=DATA_BY_NAME)])


def load(**settings: Any) -> Dataset:
    return load_dataset(ANY.validate_python(settings))


def refused(message: str, **settings: Any) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(**settings)
    assert "\n" not in str(caught.value)


def whole(inputs: Tensor | Images) -> Tensor:
    return torch.cat(list(inputs.split(7))) if isinstance(inputs, Images) else inputs


@pytest.fixture
def arrays(tmp_path: Path) -> dict[str, Any]:
    """Files of the training split, and the settings that name them."""
    random = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", random.normal(size=(12, 5)).astype(np.float32))
    np.save(tmp_path / "y.npy", np.arange(12) % 3)
    files = {"train_inputs": "x.npy", "train_labels": "y.npy"}
    return {"name": "arrays", "root": str(tmp_path), **files, "test_inputs": "x.npy", "test_labels": "y.npy"}


def test_arrays_in_all_kinds_of_files(arrays: dict[str, Any], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    x, y = np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.npy")
    held = load(**arrays)
    assert held.classes == 3 and torch.equal(whole(held.train_inputs), torch.from_numpy(x))
    assert held.test_labels.tolist() == y.tolist()
    content = {"train_inputs": x, "train_labels": y, "other": x[:3]}
    np.savez(tmp_path / "all.npz", **content)
    save_file(content, tmp_path / "all.safetensors")
    torch.save({name: torch.from_numpy(array) for name, array in content.items()}, tmp_path / "all.pt")
    for file in ("all.npz", "all.safetensors", "all.pt"):
        same = load(**arrays | {"train_inputs": file, "train_labels": f"{file}:train_labels"})
        assert same.digest == held.digest and torch.equal(whole(same.train_inputs), whole(held.train_inputs))
        refused(r"holds no array 'trian_inputs'; did you mean 'train_inputs'\?$", **arrays | {
            "train_inputs": f"{file}:trian_inputs"
        })  # fmt: skip
    alone = load(**{key: value for key, value in arrays.items() if not key.startswith("test")})
    assert len(alone.test_labels) == 0 and len(alone.test_inputs) == 0


def test_a_memory_mapped_file_is_read_by_the_batch_with_the_same_values(arrays: dict[str, Any]) -> None:
    held, read = load(**arrays), load(**arrays, memory_gb=1e-9, workers=0)
    assert isinstance(held.train_inputs, Tensor) and isinstance(read.train_inputs, Images)
    assert isinstance(read.train_inputs.source, Rows) and isinstance(read.train_inputs.source.array, np.memmap)
    assert held.digest == read.digest and torch.equal(whole(read.train_inputs), held.train_inputs)
    chosen = load(**arrays, memory_gb=1e-9, workers=0, keep_classes=[2, 0], samples_per_class=2)
    assert chosen.train_labels.tolist().count(0) == 2 and len(chosen.train_inputs) == 4


def test_images_of_bytes_are_standardised_by_the_training_images(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(1).integers(0, 256, (12, 3, 4, 4), dtype=np.uint8))
    found = load(**arrays)
    inputs = whole(found.train_inputs)
    torch.testing.assert_close(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(inputs.square().mean((0, 2, 3)), torch.ones(3), atol=1e-5, rtol=0)


def test_arrays_that_cannot_be_used(arrays: dict[str, Any], tmp_path: Path) -> None:
    def saved(name: str, array: Any) -> str:
        np.save(tmp_path / name, array, allow_pickle=True)
        return name

    (tmp_path / "x.csv").write_text("1,2")
    refused(r"^data\.train_inputs: .*nothing\.npy: there is no such file$", **arrays | {"train_inputs": "nothing.npy"})
    refused(
        r"x\.csv: is of no known format; known are \.npy, \.npz, \.safetensors, \.pt and \.pth$",
        **arrays | {"train_inputs": "x.csv"},
    )
    refused(r"12 inputs but 3 labels", **arrays | {"train_labels": saved("short.npy", np.zeros(3, int))})
    floats = saved("floats.npy", np.zeros(12))
    refused(r"labels should be one row of whole numbers, not of shape \(12,\)", **arrays | {"train_labels": floats})
    refused(
        "labels should be 0, 1, .., but one is -1", **arrays | {"train_labels": saved("minus.npy", -np.ones(12, int))}
    )
    infinite = np.ones((12, 5), np.float32)
    infinite[7, 1] = np.inf
    said = r"^data\.train_inputs: sample 7 holds NaN or infinity$"
    refused(said, **arrays | {"train_inputs": saved("infinite.npy", infinite)})
    refused("not int64 of shape", **arrays | {"train_inputs": saved("whole.npy", np.zeros((12, 5), int))})
    refused(r"objects\.npy: holds Python objects", **arrays | {"train_inputs": saved("objects.npy", np.array([{}]))})
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:150])
    refused(r"cut\.npy: is cut off: shorter than its header says$", **arrays | {"train_inputs": "cut.npy"})
    refused(r"label 2 is outside 0\.\.1", **arrays, class_names=["a", "b"])
    refused(r"training samples have shape \(5,\), test samples \(4,\)", **arrays | {
        "test_inputs": saved("four.npy", np.zeros((12, 4), np.float32))
    })  # fmt: skip
    with pytest.raises(ValueError, match=r"data\.test_inputs: goes with data\.test_labels"):
        from small_runs import network

        network(data={key: value for key, value in arrays.items() if key != "test_labels"})


SETS = """
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

class Pictures(Dataset):
    classes = ["cat", "dog"]
    def __init__(self, train, size=4):
        self.train, self.size = train, size
    def __len__(self):
        return 8 if self.train else 4
    def __getitem__(self, index):
        pixels = np.full((self.size, self.size, 3), 10 * index + 5 * (index % 2) + self.train, np.uint8)
        return Image.fromarray(pixels), index % 2

def pictures(size=4):
    return Pictures(True, size), Pictures(False, size)

def numbers(seed, scale=1.0):
    x = scale * torch.arange(12.0).reshape(6, 2) + seed
    return (x.numpy(), [0, 1, 2, 0, 1, 2]), TensorDataset(x, torch.tensor([0, 1, 2, 0, 1, 2]))

def no_test(): return numbers(0)[0], None
def single(): return 3
def four(): return 1, 2, 3, 4
def broken(): return Broken(), None
def changing(): return Changing(), None
def ragged(): return Ragged(), None
def words(): return Words(), None
def float_labels(): return (torch.ones(3, 2), torch.ones(3)), None
def lengths(): return (torch.ones(3, 2), [0, 1]), None

class Broken(Pictures):
    def __init__(self): super().__init__(True)
    def __getitem__(self, index):
        if index == 5:
            raise OSError("picture 5 is damaged")
        return super().__getitem__(index)

class Changing(Broken):
    def __getitem__(self, index): return torch.rand(3), 0

class Ragged(Broken):
    def __getitem__(self, index): return torch.ones(2 + index // 7), index % 2

class Words(Broken):
    def __getitem__(self, index): return {"text": "word", "label": 0}
"""


def test_data_sets_and_arrays_of_a_factory(plugin: Written) -> None:
    path = plugin(SETS)
    held, read = load(name=f"{path}:pictures"), load(name=f"{path}:pictures", memory_gb=1e-9, workers=1)
    assert held.class_names == read.class_names == ("cat", "dog")
    assert isinstance(read.train_inputs, Images) and isinstance(held.train_inputs, Tensor)
    assert held.digest == read.digest and held.train_inputs.shape == (8, 3, 4, 4)
    assert torch.equal(whole(read.train_inputs), held.train_inputs)
    kept = load(name=f"{path}:pictures", keep_classes=["dog", "cat"])
    assert kept.class_names == ("dog", "cat") and kept.train_labels.tolist() == [1, 0] * 4
    refused(r"^data\.keep_classes: dgo is not the name of a class; did you mean 'dog'", name=f"{path}:pictures",
            keep_classes=["dgo", "cat"])  # fmt: skip
    numbers = load(name=f"{path}:numbers", seed=3, arguments={"scale": 2}, class_names=["a", "b", "c"])
    assert whole(numbers.train_inputs)[1].tolist() == [7, 9] and numbers.class_names == ("a", "b", "c")
    assert torch.equal(whole(numbers.test_inputs), whole(numbers.train_inputs))
    assert len(load(name=f"{path}:no_test", arguments={}).test_labels) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("single", r"should return the pair \(train, test\), not a int"),
        ("four", r"should return the pair \(train, test\), not a tuple of 4"),
        ("broken", r"OSError: picture 5 is damaged \(own_\d+\.py, line \d+\)"),
        ("changing", "train gives another sample 0 when it is read again"),
        ("ragged", r"its sample 7 is of shape \(3,\) .* but the first one is of shape \(2,\)"),
        ("words", r"its sample 0 should be a pair \(input, label\), not a dict"),
        ("float_labels", "labels should be one row of whole numbers"),
        ("lengths", "3 inputs but 2 labels"),
    ],
)
def test_factories_that_cannot_be_used(plugin: Written, name: str, message: str) -> None:
    path = plugin(SETS)
    refused(rf"^data\.name: {path}:{name}: .*{message}|^data\.name: {path}:{name}: {message}", name=f"{path}:{name}")


def test_class_names_that_do_not_exist(arrays: dict[str, Any]) -> None:
    refused("classes of arrays have no names", **arrays, keep_classes=["a", "b"])
    named = load(**arrays, class_names=["a", "b", "c"], keep_classes=["c", 0])
    assert named.class_names == ("c", "a")
    with pytest.raises(DataError, match="should not list a class twice"):
        load(**arrays, class_names=["a", "b", "c"], keep_classes=["a", 0])


def test_a_folder_of_hugging_face(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    features = datasets.Features({
        "image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"]), "vector": datasets.Sequence(
            datasets.Value("float32")
        ),
    })  # fmt: skip
    random = np.random.default_rng(0)

    def split(rows: int) -> Any:
        pictures = [Image.fromarray(random.integers(0, 256, (4, 4), dtype=np.uint8)) for _ in range(rows)]
        vectors = random.normal(size=(rows, 3)).astype(np.float32).tolist()
        content = {"image": pictures, "label": [i % 2 for i in range(rows)], "vector": vectors}
        return datasets.Dataset.from_dict(content, features=features)

    datasets.DatasetDict({"train": split(6), "validation": split(4)}).save_to_disk(str(tmp_path / "set"))
    settings = {"name": "hugging_face", "root": str(tmp_path / "set"), "test_split": "validation"}
    found = load(**settings)
    assert found.class_names == ("no", "yes") and found.train_inputs.shape == (6, 1, 4, 4)
    streamed = load(**settings, memory_gb=1e-9, workers=0)
    assert streamed.digest == found.digest and torch.equal(whole(streamed.train_inputs), whole(found.train_inputs))
    vectors = load(**settings, inputs="vector")
    assert vectors.train_inputs.shape == (6, 3) and vectors.test_labels.tolist() == [0, 1, 0, 1]
    refused(r"^data\.test_split: the data set has no split test; it has train and validation$", **{
        **settings, "test_split": "test"
    })  # fmt: skip
    refused(r"^data\.inputs: the data set has no column imge; did you mean 'image'", **settings, inputs="imge")
    refused(r"cannot be read by load_from_disk", **{**settings, "root": str(tmp_path)})
