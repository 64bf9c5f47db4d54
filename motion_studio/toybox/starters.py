"""Make the sample clips and starter motions again: `python -m motion_studio.toybox.starters`."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from motion_studio.backbones.registry import load
from motion_studio.settings import preset
from motion_studio.studio.events import Done
from motion_studio.studio.invert import invert
from motion_studio.studio.library import STARTERS, save_reference
from motion_studio.studio.motion_file import write_motion
from motion_studio.toybox.data import PICTURE
from motion_studio.toybox.motions import smooth
from motion_studio.toybox.sample import FRAMES, caption
from motion_studio.toybox.world import Ground, Scene, Thing, render
from motion_studio.video.files import write_clip

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ROOT / "assets" / "clips"
_SCALE = 2


def _time() -> np.ndarray:
    return np.linspace(0, 1, FRAMES)


def _thing(shape: str, colour: str, x, y, angle=0.0, scale=1.0) -> Thing:
    """Return a thing with curves of time or constants, at the picture's coordinates."""
    path = np.stack([np.broadcast_to(x, FRAMES), np.broadcast_to(y, FRAMES)], 1).astype(float)
    curves = (np.broadcast_to(curve, FRAMES).astype(float) for curve in (angle, scale))
    return Thing(shape, colour, 0.16, path, *curves, words="")


def _camera(**columns) -> np.ndarray:
    camera = np.zeros((FRAMES, 4))
    for name, curve in columns.items():
        camera[:, ("x", "y", "zoom", "roll").index(name)] = curve
    return camera


def scenes() -> dict[str, Scene]:
    """Return the starters' scenes by title."""
    t = _time()
    still, turn = _camera(), 2 * np.pi * t
    wander = 0.5 + 0.27 * smooth(FRAMES, 2, np.random.default_rng(11)) * [1, 0.9]
    hop = 0.72 - 0.4 * np.abs(np.sin(np.pi * 2.5 * t))

    def scene(thing: Thing, ground: str, pattern: str, camera: np.ndarray = still) -> Scene:
        return Scene((thing,), Ground(ground, pattern, 5), camera, "")

    return {
        "Circle": scene(
            _thing("star", "yellow", 0.5 + 0.24 * np.cos(turn), 0.5 + 0.24 * np.sin(turn)), "blue", "dots"
        ),
        "Bounce": scene(_thing("circle", "orange", 0.25 + 0.5 * t, hop), "gray", "checks"),
        "Slide": scene(_thing("square", "cyan", 0.2 + 0.6 * t, 0.5), "red", "plain"),
        "Wave": scene(
            _thing("heart", "pink", 0.18 + 0.64 * t, 0.5 + 0.18 * np.sin(1.5 * turn)), "green", "clouds"
        ),
        "Wander": scene(_thing("cross", "green", wander[:, 0], wander[:, 1]), "purple", "dots"),
        "Spin": scene(_thing("bar", "red", 0.5, 0.5, angle=3.2 * t), "cyan", "clouds"),
        "Pan": scene(_thing("ring", "blue", 0.7, 0.5), "yellow", "checks", _camera(x=-0.5 * t)),
        "Push in": scene(_thing("triangle", "purple", 0.5, 0.5), "gray", "dots", _camera(zoom=0.5 * t)),
        "Roll": scene(_thing("star", "orange", 0.5, 0.5), "blue", "stripes", _camera(roll=0.9 * t)),
    }


def main() -> None:
    """Render every clip and learn every starter with the faithful preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips-only", action="store_true", help="render the clips, learn nothing")
    args = parser.parse_args()
    made = {title: (scene, render(scene, PICTURE)) for title, scene in scenes().items()}
    CLIPS.mkdir(parents=True, exist_ok=True)
    for title, (_, clip) in made.items():
        write_clip(CLIPS / f"{_name(title)}.mp4", clip, scale=_SCALE)
    if args.clips_only:
        return
    shutil.rmtree(STARTERS, ignore_errors=True)
    STARTERS.mkdir(parents=True)
    backbone = load("toybox")
    settings = replace(preset("faithful"), preview_every=0)
    for title, (scene, clip) in tqdm(made.items(), desc="starters"):
        *_, last = invert(backbone, clip, settings, caption(scene, motion=False))
        assert isinstance(last, Done)
        path = STARTERS / f"{_name(title)}.safetensors"
        save_reference(path, clip)
        write_motion(path, last.result.replace_info(title=title))


def _name(title: str) -> str:
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    main()
