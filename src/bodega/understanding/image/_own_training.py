"""How do a shop's photos teach a network of its own? Two changed views of each, pulled together against the batch.

Views are cut, mirrored and changed in light and colour on the tensor, so nothing but torch is needed. Where photos
carry a label (a category), photos of one label are pulled together, too. The number of steps follows from the number of
photos, never from the clock: same photos, same labels, same seed, same bytes on one machine.
Cost: about .25 s a step of 64 photos on one core. Needs: the extra `neural`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from bodega.errors import MissingExtra, NoEvidence
from bodega.protocols import NoProgress, Pixels, Progress
from bodega.understanding.image.own import CHANNELS, OwnEncoder, planes


class OwnOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on the training split of clothing photos (docs/decisions/0038)."""

    batch: int = 64
    rate: float = 0.002
    temperature: float = 0.15
    fewest: int = 200
    """With fewer photos nothing is trained: the histogram is as good."""
    epochs: int = 12
    most_steps: int = 600
    most_photos: int = 20_000
    seed: int = 7


def train_own(
    images: Sequence[Pixels],
    labels: Sequence[str] = (),
    options: OwnOptions | None = None,
    progress: Progress | None = None,
) -> OwnEncoder:
    """Teach a network; `labels` in the order of the images, "" where none is known.

    Raises NoEvidence for too few photos, MissingExtra without torch.
    """
    options, progress = options or OwnOptions(), progress or NoProgress()
    if len(images) < options.fewest:
        raise NoEvidence(
            "too few photos to teach a network of this shop's own",
            where="pictures",
            allowed=f"at least {options.fewest} photos",
            got=len(images),
            next="set encoder = \"histogram\", or pip install 'bodega[images]'",
        )
    try:
        import torch
    except ImportError as error:
        raise MissingExtra.named("neural", needed_for="teaching a network of the shop's own") from error
    rng = np.random.default_rng(options.seed)
    chosen = np.sort(rng.permutation(len(images))[: options.most_photos])
    shown = torch.from_numpy(planes([images[place] for place in chosen]))
    told = list(labels) or [""] * len(images)
    names = {name: code for code, name in enumerate(sorted(set(told) - {""}))}
    codes = np.array([names.get(told[place], -1 - place) for place in chosen])  # without a label: a kind of its own
    state = torch.get_rng_state()
    torch.manual_seed(options.seed)
    try:
        net = _net(torch)
        _taught(net, shown, torch.from_numpy(codes), options, (rng, progress))
    finally:
        torch.set_rng_state(state)
    origin = f"learned from {len(chosen):,} photos of this shop, {len(names):,} categories"
    return OwnEncoder(_folded(net), origin)


def _net(torch: Any) -> Any:
    layers: list[Any] = []
    inner = 3
    for outer in CHANNELS:
        layers += [torch.nn.Conv2d(inner, outer, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(outer), torch.nn.ReLU()]
        inner = outer
    return torch.nn.Sequential(*layers)


def _taught(
    net: Any, shown: Any, codes: Any, options: OwnOptions, beside: tuple[np.random.Generator, Progress]
) -> None:
    import torch

    rng, progress = beside
    steps = min(options.most_steps, max(1, options.epochs * len(shown) // options.batch))
    adam = torch.optim.AdamW(net.parameters(), options.rate, weight_decay=1e-4)
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, options.rate, total_steps=steps + 1)
    progress.start("teach a network of pictures", steps)
    net.train()
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(len(shown), min(options.batch, len(shown)), replace=False))
        views = torch.cat([_view(shown[rows]), _view(shown[rows])])
        told = torch.cat([codes[rows], codes[rows]])
        seen = torch.nn.functional.normalize(net(views).mean((2, 3)), dim=1)
        loss = _contrast(seen, told, options.temperature)
        adam.zero_grad()
        loss.backward()
        adam.step()
        plan.step()
        progress.advance()
    net.eval()
    progress.finish()


def _contrast(seen: Any, told: Any, temperature: float) -> Any:
    """Supervised contrast: the mean log chance of whatever is the same, among all others of the batch."""
    import torch

    own = torch.eye(len(seen), dtype=torch.bool)
    logits = (seen @ seen.T / temperature).masked_fill(own, -1e9)
    same = (told[:, None] == told[None, :]) & ~own
    chances = logits.log_softmax(1)
    return -(chances * same).sum(1).div(same.sum(1).clamp(min=1)).mean()


def _view(batch: Any) -> Any:
    """Each picture cut, mirrored, and changed in light, contrast and colour."""
    import torch

    count = len(batch)
    scale = torch.empty(count).uniform_(0.55, 1.0)
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    shift = (torch.rand(count, 2) * 2 - 1) * (1 - scale)[:, None]
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale * mirror, scale, shift
    grid = torch.nn.functional.affine_grid(theta, list(batch.shape), align_corners=False)
    cut = torch.nn.functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    contrast = torch.empty(count, 1, 1, 1).uniform_(0.6, 1.4)
    light = torch.empty(count, 3, 1, 1).uniform_(-0.15, 0.15) + torch.empty(count, 1, 1, 1).uniform_(-0.25, 0.25)
    return (cut * contrast + light).clamp(-1, 1)


def _folded(net: Any) -> dict[str, Any]:
    """Convolutions with the normalisation after them folded in."""
    weights: dict[str, Any] = {}
    layers = list(net)
    for layer in range(len(CHANNELS)):
        convolution, norm = layers[3 * layer], layers[3 * layer + 1]
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
        weights[f"w{layer}"] = (convolution.weight.detach() * scale[:, None, None, None]).numpy()
        weights[f"b{layer}"] = (norm.bias.detach() - norm.running_mean * scale).numpy()
    return weights
