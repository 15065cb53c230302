"""Training without errors, which gives a network to begin with if there are no trained weights."""

from __future__ import annotations

from typing import cast

import torch

from edensim.accuracy.criteria import criterion_of
from edensim.accuracy.dataset import Dataset, normalization_of, normalized
from edensim.accuracy.networks.registry import ENTRIES, build, known_name
from edensim.accuracy.scoring import batched, check_kind, one_thread_each, score_of
from edensim.accuracy.weights import Normalization
from edensim.exceptions import EdensimError
from edensim.vocabulary import ProgressCallback


def train(
    network: str | torch.nn.Module,
    dataset: Dataset,
    *,
    epochs: int = 8,
    batch: int = 64,
    rate: float = 2e-3,
    normalization: Normalization | None = None,
    seed: int = 1,
    progress: ProgressCallback | None = None,
) -> torch.nn.Module:
    """Train a network with AdamW and one cycle of the learning rate, whose peak is `rate`.

    The network comes back in evaluation mode, and is the same for the same seed. Raises
    EdensimError if training diverges.
    """
    module = (
        build(network, dataset.shape, len(dataset.classes), seed=seed)
        if isinstance(network, str)
        else network
    )
    check_kind(network if isinstance(network, str) else type(module).__name__, module, dataset)
    criterion = criterion_of(module)
    images = torch.from_numpy(
        normalized(dataset.images, normalization or normalization_of(dataset.images))
    )
    labels = torch.from_numpy(dataset.labels)
    steps = -(-len(labels) // batch)
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rate, total_steps=epochs * steps
    )
    generator = torch.Generator().manual_seed(seed)
    module.train()
    with one_thread_each():
        for epoch in range(epochs):
            order = torch.randperm(len(labels), generator=generator)
            for step in range(steps):
                drawn = order[step * batch : (step + 1) * batch]
                loss = criterion.loss(module(images[drawn]), labels[drawn])
                if not bool(torch.isfinite(loss)):
                    raise EdensimError(
                        f"training diverged in epoch {epoch + 1}: the loss is {float(loss)}"
                    )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                if progress is not None:
                    progress(epoch * steps + step + 1, epochs * steps)
    return cast(torch.nn.Module, module.eval())


def normalization_for(network: str, dataset: Dataset) -> Normalization:
    """Return what a network's images are normalized by.

    These are the figures of its published weights if it has some, else those of the images.
    """
    published = ENTRIES[known_name(network)].normalization
    return (
        published
        if published is not None and dataset.shape[0] == len(published[0])
        else normalization_of(dataset.images)
    )


def accuracy_of(
    module: torch.nn.Module, dataset: Dataset, normalization: Normalization, batch: int = 256
) -> float:
    """Measure the share of images that a module classifies right, or the score of its criterion."""
    return score_of(module, batched(dataset, normalization, batch), len(dataset))
