"""Play the game Crafter by wandering, and keep frames. A program of its own, run by `fetch`.

Usage: python crafter_play.py FRAMES.npz COUNT
"""

import sys
from typing import Any

import numpy as np

EVERY, LIFE, STRIDE = 3, 600, (4, 24)
MOVES = (1, 2, 3, 4)
DO = 5


def play(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Frames (N, 64, 64, 3) uint8 with `ground`, `light` (words) and `episode`."""
    import crafter  # type: ignore[import-not-found] # installed for this one run

    rng = np.random.default_rng(seed)
    env = crafter.Env(seed=seed)
    images: list[np.ndarray] = []
    ground, light, episodes = [], [], []
    episode = 0
    while len(images) < count:
        env.reset()
        # An agent that walks straight for a while, and hews at what stands in its way, gets far.
        move, left, over, before = 1, 0, False, None
        for step in range(LIFE):
            place = tuple(env._player.pos)
            if left == 0 or (place == before and rng.random() < 0.3):
                move, left = int(rng.choice(MOVES)), int(rng.integers(*STRIDE))
            blocked = place == before
            before, left = place, left - 1
            frame, _, over, _ = env.step(DO if blocked and rng.random() < 0.5 else move)
            if step % EVERY == EVERY - 1:
                images.append(frame)
                ground.append(most_common(env))
                light.append("day" if env._world.daylight > 0.6 else "night")
                episodes.append(episode)
            if over or len(images) == count:
                break
        episode += 1
    return {
        "images": np.stack(images).astype(np.uint8),
        "ground": np.array(ground),
        "light": np.array(light),
        "episode": np.array(episodes),
    }


def most_common(env: Any) -> str:
    """The material that fills most of the 9 x 7 cells in view."""
    x, y = env._player.pos
    cells = [(x + i, y + j) for i in range(-4, 5) for j in range(-3, 4)]
    names = [str(env._world[cell][0]) for cell in cells if inside(cell, env._world.area)]
    words, counts = np.unique(names, return_counts=True)
    return str(words[counts.argmax()])


def inside(cell: tuple[int, int], area: tuple[int, int]) -> bool:
    """Whether a cell is on the map."""
    return 0 <= cell[0] < area[0] and 0 <= cell[1] < area[1]


if __name__ == "__main__":
    np.savez(sys.argv[1], **play(int(sys.argv[2])))  # type: ignore[arg-type]
