"""Frames of a small game of 64 x 64 pixels with their semantic maps, as pairs (`maps/` and `images/`).

    pip install crafter==1.8.3        # MIT; in an environment of its own
    python benchmarks/pairs/game.py OUT [WORLDS=120] [FRAMES=40]
    python benchmarks/pairs/game.py --world NUMBER MAP.png        # the map of a whole world, 512 x 512 pixels

A frame shows 8 x 8 cells of 8 pixels around a player who is put on a random free cell of the world, looks
in a random direction, at a random hour of the day. A map holds at each pixel the id of what lies in its cell,
and labels.txt names the ids. One world in ten is held out whole (OUT/test): no place is on both sides.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CELLS, SIDE = 8, 64
GROUND = ("grass", "sand", "path")
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def placed(env: Any, rng: np.random.Generator) -> None:
    """Put the player somewhere free."""
    world, player = env._world, env._player
    while True:
        at = rng.integers(2, 62, 2)
        material, thing = world[tuple(at)]
        if material in GROUND and thing is None:
            break
    world.move(player, at)
    player.health, player.facing = 9, DIRECTIONS[rng.integers(4)]


def seen(env: Any, view: Any) -> tuple[np.ndarray, np.ndarray]:
    """Frame (64, 64, 3) and map (64, 64), both uint8, rows downwards."""
    frame = view(env._player, np.array([CELLS, CELLS])).astype(np.uint8).transpose(1, 0, 2)
    ids, half = np.pad(env._sem_view(), CELLS), CELLS // 2
    x, y = np.array(env._player.pos) + CELLS
    cells = ids[x - half : x + half, y - half : y + half].T
    return frame, cells.repeat(SIDE // CELLS, 0).repeat(SIDE // CELLS, 1).astype(np.uint8)


def whole(number: int, path: Path) -> None:
    """Write the map of a whole world."""
    import crafter

    env = crafter.Env(seed=number)
    env.reset()
    side = SIDE // CELLS
    ids = env._sem_view().T.repeat(side, 0).repeat(side, 1).astype(np.uint8)
    Image.fromarray(ids).save(path)


def main() -> None:
    """Write all frames, or one map."""
    import crafter
    from crafter.engine import LocalView

    if sys.argv[1] == "--world":
        whole(int(sys.argv[2]), Path(sys.argv[3]))
        return
    out, worlds, frames = Path(sys.argv[1]), *map(int, [*sys.argv[2:], "120", "40"][:2])
    for number in range(worlds):
        rng, env = np.random.default_rng(number), crafter.Env(seed=number)
        env.reset()
        view = LocalView(env._world, env._textures, [CELLS, CELLS])
        side = out / ("test" if number % 10 == 9 else "train")
        for at in range(frames):
            placed(env, rng)
            env._step = int(rng.integers(0, 300))
            env.step(0)
            for name, pixels in zip(("images", "maps"), seen(env, view), strict=True):
                path = side / name / f"{number:03d}-{at:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    names = {number: name or "unknown" for name, number in env._world._mat_ids.items()}
    names |= {number: kind.__name__.lower() for kind, number in env._sem_view._obj_ids.items()}
    legend = "".join(f"{number} {names[number]}\n" for number in sorted(names))
    (out / "labels.txt").write_text(legend)


if __name__ == "__main__":
    main()
