"""Training without errors: what gives a network to start from where no trained weights are at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch

from edensim.accuracy.criteria import criterion_of
from edensim.accuracy.datasets import Dataset, normalization_of, normalized
from edensim.accuracy.evaluation_target import batched, check_kind, score_of
from edensim.accuracy.networks.registry import ENTRIES, build, known_name
from edensim.accuracy.weights import Normalization
from edensim.exceptions import EdensimError


def train(
    network: str | torch.nn.Module,
    dataset: Dataset,
    *,
    epochs: int = 8,
    batch: int = 64,
    rate: float = 2e-3,
    normalization: Normalization | None = None,
    seed: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> torch.nn.Module:
    """A network trained with AdamW and one cycle of the learning rate (its peak: `rate`), in evaluation mode. The same for the same seed.

    Raises EdensimError where training diverges.
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
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        module.train()
        for epoch in range(epochs):
            order = torch.randperm(len(labels), generator=generator)
            for step in range(steps):
                chosen = order[step * batch : (step + 1) * batch]
                loss = criterion.loss(module(images[chosen]), labels[chosen])
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
    finally:
        torch.set_num_threads(before)
    return cast(torch.nn.Module, module.eval())


def normalization_for(network: str, dataset: Dataset) -> Normalization:
    """What images are normalized by: the figures of the network's published weights where it has such, else those of the images."""
    published = ENTRIES[known_name(network)].normalization
    return (
        published
        if published is not None and dataset.shape[0] == len(published[0])
        else normalization_of(dataset.images)
    )


def accuracy_of(
    module: torch.nn.Module, dataset: Dataset, normalization: Normalization, batch: int = 256
) -> float:
    """Share of images that a module classifies right, or what its criterion has instead."""
    return score_of(module, batched(dataset, normalization, batch), len(dataset))
