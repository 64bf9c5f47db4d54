"""Random scenes with captions: the toybox's training set, and its held-out one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motion_studio.toybox.motions import CAMERAS, DIRECTIONS, MOVES, SIDES, Rng
from motion_studio.toybox.shapes import COLOURS, GROUNDS, PATTERNS, SHAPES, SYMMETRY
from motion_studio.toybox.world import Ground, Scene, Thing, to_picture, to_world

FRAMES = 16
HELD_OUT = 10_000_000
"""Seeds from here on are never trained on."""
PLAIN = 0.5
"""Share of plain grounds under a still camera: there the object and its motion are most of what is seen."""
PAIRED = 0.8
"""How large each of two objects is against a single one."""
_MARGIN = 0.15
_TRIES = 40


def pick(shares: dict[str, float], rng: Rng) -> str:
    """Return one of the names, each as often as its share of all shares."""
    weights = np.array(list(shares.values()), float)
    return list(shares)[rng.choice(len(shares), p=weights / weights.sum())]


def _family(table: dict, rng: Rng) -> str:
    return pick({name: share for name, (_, share) in table.items()}, rng)


def _place(offset: np.ndarray, camera: np.ndarray, rng: Rng, wide: float | None) -> np.ndarray | None:
    """Return a world path (F, 2) whose picture path stays inside the margins, or None where that can't be.

    Its middle frame lies up to `wide` from the picture's middle.
    """
    middle = len(offset) // 2
    if wide is None:  # mostly near the middle, so that words tell where it goes
        wide = 0.2 if rng.uniform() < 0.3 else 0.05
    anchor = 0.5 + rng.uniform(-wide, wide, 2)
    start = to_world(camera[middle : middle + 1], anchor[None])[0]
    path = start + offset - offset[middle]
    seen = to_picture(camera, path)
    low, high = seen.min(0), seen.max(0)
    if np.any(high - low > 1 - 2 * _MARGIN):
        return None
    shift = np.maximum(_MARGIN - low, 0) - np.maximum(high - (1 - _MARGIN), 0)
    path = path + shift  # exact without zoom and roll, checked with them
    seen = to_picture(camera, path)
    inside = seen.min() > _MARGIN - 0.03 and seen.max() < 1 - _MARGIN + 0.03
    return path if inside else None


def sample_scene(
    seed: int, frames: int = FRAMES, move: str | None = None, camera: str | None = None, two: float = 0.0
) -> Scene:
    """Draw a scene by its seed; `move` and `camera` fix the family, `two` is the chance of a second object.

    Args:
        seed: from `HELD_OUT` on for evaluation.
        frames: clip length.
        move: a key of `MOVES`, or None for any.
        camera: a key of `CAMERAS`, or None for any.
        two: in [0, 1].
    """
    rng = np.random.default_rng(seed)
    family = camera or _family(CAMERAS, rng)
    plain = rng.uniform() < PLAIN
    pattern = "plain" if plain else str(rng.choice(PATTERNS[1:]))
    ground = Ground(str(rng.choice(GROUNDS)), pattern, int(rng.integers(2**31)))
    if family != "none" and plain:  # a moving camera must be seen to move
        ground = Ground(ground.colour, str(rng.choice(PATTERNS[1:])), ground.seed)
    colours = [c for c in COLOURS if c != ground.colour]
    first, second = rng.choice(colours, 2, replace=False)
    for attempt in range(_TRIES):
        view, camera_words = CAMERAS[family][0](frames, rng)
        view = view * 0.9**attempt
        things = [_thing(str(first), move, view, rng)]
        if rng.uniform() < two:
            things = _pair(things[0], str(second), view, rng)
        if all(things):
            return Scene(tuple(things), ground, view, camera_words)
    raise RuntimeError(f"no scene for seed {seed} ({move}, {family}) within {_TRIES} tries")


def _pair(first: Thing | None, colour: str, camera: np.ndarray, rng: Rng) -> list[Thing | None]:
    """Return an object and a second one, both smaller, and apart in most frames where a few tries find that.

    Of two that hide each other no shape can be learnt.
    """
    if first is None:
        return [None]
    first = replace(first, radius=PAIRED * first.radius)
    drawn = (_thing(colour, None, camera, rng, wide=0.3) for _ in range(_TRIES))
    seconds = (replace(thing, radius=PAIRED * thing.radius) for thing in drawn if thing)
    best, most = None, -1.0
    for second in seconds:
        share = apart(first, second).mean()
        if share > most:
            best, most = second, share
        if share >= 0.75:
            break
    return [first, best]


def apart(first: Thing, second: Thing) -> np.ndarray:
    """Return at which frames (F,) two objects cannot touch."""
    reach = first.radius * first.scale + second.radius * second.scale
    return np.linalg.norm(first.path - second.path, axis=1) > reach


def _thing(
    colour: str, move: str | None, camera: np.ndarray, rng: Rng, wide: float | None = None
) -> Thing | None:
    family = move or _family(MOVES, rng)
    shapes = [s for s in SHAPES if family != "spin" or SYMMETRY[s]]
    drawn = MOVES[family][0](len(camera), rng)
    path = _place(drawn.path, camera, rng, wide)
    if path is None:
        return None
    tilt = 0.15 if family == "spin" else 0.5  # the mean of spins from anywhere is no spin
    return Thing(
        str(rng.choice(shapes)),
        colour,
        rng.uniform(0.145, 0.195),
        path,
        drawn.angle + tilt * rng.uniform(-1, 1),
        drawn.scale,
        drawn.words,
    )


def caption(scene: Scene, motion: bool = True) -> str:
    """Return a scene's caption; with `motion` False the motion is left open."""
    parts = []
    for thing in scene.things:
        named = motion and thing.words and not (thing.words == "standing still" and scene.camera_words)
        parts.append(f"a {thing.colour} {thing.shape}" + (f" {thing.words}" if named else ""))
    ground = scene.ground
    where = f"plain {ground.colour}" if ground.pattern == "plain" else f"{ground.colour} {ground.pattern}"
    text = f"{' and '.join(parts)} on {where}"
    return f"{text}, {scene.camera_words}" if motion and scene.camera_words else text


def nameable(scene: Scene) -> bool:
    """Whether words can name all that moves in a scene."""
    return all(thing.words for thing in scene.things) and (
        bool(scene.camera_words) or not np.any(scene.camera)
    )


def vocabulary() -> list[str]:
    """Return every word that a caption can hold."""
    looks = [*SHAPES, *COLOURS, *GROUNDS, *PATTERNS, "plain", "on", "a", "and", ","]
    moves = [
        "moving",
        "circling",
        "arcing",
        "clockwise",
        "counterclockwise",
        "bouncing",
        "waving",
        "zigzagging",
        "spinning",
    ]
    rest = [
        "growing",
        "shrinking",
        "standing",
        "still",
        "camera",
        "panning",
        "tilting",
        "zooming",
        "rolling",
        "in",
        "out",
    ]
    return [*looks, *moves, *rest, *" ".join([*DIRECTIONS, *SIDES]).split()]
