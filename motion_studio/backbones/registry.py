"""The base models there are, and those a user brings. Listing them loads nothing; only `load` does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motion_studio.backbones.hub import (
    HUB_ID,
    INDEX,
    REFUSALS,
    fetched_json,
    folder,
    lacks,
    place,
    repo_and_file,
    why_not,
)
from motion_studio.errors import InputError, SettingsError
from motion_studio.settings import GenerationSettings

if TYPE_CHECKING:
    from motion_studio.backbones.base import Backbone
    from motion_studio.motion.embedding import Looks

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
ZEROSCOPE = "cerspense/zeroscope_v2_576w"
SIZED = re.compile(r"(?P<base>.+)@(?P<width>\d{1,5})x(?P<height>\d{1,5})(?:x(?P<frames>\d{1,4}))?")
SIDES, STEP = range(32, 4097), 16
"""What a side of the picture can be, in pixels, and what divides it: the pixels to a token of Wan."""


@dataclass(frozen=True)
class BaseSpec:
    """What is known of a base model before it is loaded."""

    name: str
    title: str
    licence: str
    frames: int
    height: int
    width: int
    size_mb: int
    """Size of its weights on disk."""
    guidance: float
    """The scale of classifier-free guidance that suits it."""
    module: str
    """The module here whose `load(spec, device)` makes the Backbone."""
    max_frames: int
    """The most frames it can attend over at once."""
    fps: float = 8
    looks: Looks = "difference"
    """The way of taking looks out of v that keeps its motion best; by default the paper's."""
    sample_prompt: str = "a dog runs on a beach"
    """The prompt of the sample that evolves while a motion is learnt."""
    memory_mb: int = 1000
    """Memory that making a clip of its own size takes, the weights included."""
    steps: int = 20
    """The number of denoising steps that suits it."""
    guide_until: float = 0.0
    """The share of the steps in which guidance leads to a motion too; measured for the toybox alone."""
    play_until: float = 1.0
    """The share of the steps in which a motion plays; measured for the toybox alone."""
    sync_until: float = 0.0
    """The share of the steps in which frames share ground and object; measured for the toybox alone."""
    several: dict[str, float] = field(default_factory=dict)
    """Settings that differ where several objects have words of their own; measured for the toybox alone."""
    previews: int = 16
    """How often at most a clip is shown while it is made: each time, all its frames are decoded."""
    repo: str = ""
    """A diffusers pipeline: its id on the Hugging Face Hub, or its folder."""
    revision: str | None = None
    """The Hub's revision of `repo`; None is main."""
    parts: dict[str, str] = field(default_factory=dict)
    """Parts of the pipeline that come from elsewhere: a repository, or one file of it."""
    resized: str = ""
    """What was asked for behind the name, `@WIDTHxHEIGHT` or with `xFRAMES`; empty at its own size."""

    def generation(self, prompt: str, objects: int = 1, **changes: Any) -> GenerationSettings:
        """Return the settings that suit this base and so many objects with words, but for `changes`."""
        own = ("steps", "guidance", "guide_until", "play_until", "sync_until")
        several = self.several if objects > 1 else {}
        return GenerationSettings(
            prompt, **{**{name: getattr(self, name) for name in own}, **several, **changes}
        )


# Of the toybox everything is measured, of the others nothing yet: `looks` is the paper's (arXiv 2403.20193),
# frames, sizes, steps and guidance are their model cards' (guidance 12 is ours: ZeroScope's card gives none),
# sizes on disk and memory (half precision on a GPU) are worked out from their parameters.
BASES: dict[str, BaseSpec] = {
    "toybox": BaseSpec(
        name="toybox",
        title="Toybox: one coloured shape on a patterned ground, built in",
        licence="Apache-2.0",
        frames=16,
        height=128,
        width=128,
        size_mb=16,
        looks="background",
        guidance=3.0,
        sample_prompt="a red star on blue dots",
        guide_until=0.1,
        play_until=0.5,
        sync_until=0.85,
        several={"guidance": 4.0},
        module="toybox",
        max_frames=64,
        repo=str(ASSETS / "toybox"),
    ),
    "animatediff": BaseSpec(
        name="animatediff",
        title="AnimateDiff v3 on Stable Diffusion 1.5",
        licence="CreativeML OpenRAIL-M, adapter Apache-2.0",
        frames=16,
        height=512,
        width=512,
        size_mb=5900,
        guidance=7.5,
        module="animatediff",
        max_frames=32,
        memory_mb=12000,
        steps=25,
        repo=SD15,
        parts={"motion_adapter": "guoyww/animatediff-motion-adapter-v1-5-3"},
    ),
    "animatelcm": BaseSpec(
        name="animatelcm",
        title="AnimateLCM on Stable Diffusion 1.5: six steps",
        licence="CreativeML OpenRAIL-M, adapter MIT",
        frames=16,
        height=512,
        width=512,
        size_mb=6200,
        guidance=1.5,
        module="animatelcm",
        max_frames=32,
        memory_mb=12000,
        steps=6,
        repo=SD15,
        parts={
            "motion_adapter": "wangfuyun/AnimateLCM",
            "lora": "wangfuyun/AnimateLCM/AnimateLCM_sd15_t2v_lora.safetensors",
        },
    ),
    # UNet3D has no position encoding: not the model but memory bounds the number of frames.
    "zeroscope": BaseSpec(
        name="zeroscope",
        title="ZeroScope v2 576w",
        licence="CC-BY-NC-4.0",
        frames=24,
        height=320,
        width=576,
        size_mb=3700,
        guidance=12.0,
        module="unet3d",
        max_frames=64,
        memory_mb=8000,
        steps=40,
        repo=ZEROSCOPE,
        # The pull request that adds the weights as safetensors; main has pickles only.
        revision="refs/pr/46",
    ),
    "modelscope": BaseSpec(
        name="modelscope",
        title="ModelScope text-to-video 1.7B",
        licence="CC-BY-NC-4.0",
        frames=16,
        height=256,
        width=256,
        size_mb=7400,
        guidance=9.0,
        module="unet3d",
        max_frames=64,
        memory_mb=6000,
        steps=25,
        repo="ali-vilab/text-to-video-ms-1.7b",
    ),
    "videocrafter2": BaseSpec(
        name="videocrafter2",
        title="VideoCrafter2, with ZeroScope's text encoder and autoencoder",
        licence="Apache-2.0, ZeroScope's parts CC-BY-NC-4.0",
        frames=16,
        height=320,
        width=512,
        size_mb=6500,
        guidance=12.0,
        module="unet3d",
        max_frames=64,
        memory_mb=8000,
        steps=40,
        repo=ZEROSCOPE,
        revision="refs/pr/46",
        parts={"unet": "adamdad/videocrafterv2_diffusers"},
    ),
    "latte": BaseSpec(
        name="latte",
        title="Latte-1, a transformer",
        licence="Apache-2.0",
        frames=16,
        height=512,
        width=512,
        size_mb=24000,
        guidance=7.5,
        module="latte",
        max_frames=16,
        memory_mb=18000,
        steps=50,
        repo="maxin-cn/Latte-1",
    ),
    "wan": BaseSpec(
        name="wan",
        title="Wan 2.1 text-to-video 1.3B",
        licence="Apache-2.0",
        frames=81,
        height=480,
        width=832,
        fps=16,
        size_mb=29000,
        guidance=5.0,
        module="wan",
        max_frames=81,
        memory_mb=20000,
        steps=50,
        previews=2,
        repo="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    ),
}

# The class in a pipeline's model_index.json, and the base whose adapter and defaults it takes.
FAMILIES: dict[str, str] = {
    "AnimateDiffPipeline": "animatediff",
    "StableDiffusionPipeline": "animatediff",
    "TextToVideoSDPipeline": "zeroscope",
    "VideoToVideoSDPipeline": "zeroscope",
    "LattePipeline": "latte",
    "WanPipeline": "wan",
}


def find(name: str) -> BaseSpec:
    """The base of that name, or what is to be known of a diffusers pipeline, by its folder or Hub id.

    A name may end in `@WIDTHxHEIGHT` or `@WIDTHxHEIGHTxFRAMES`: the base at another size than its own. Raises
    SettingsError for an unknown name, a folder that is no pipeline, one of an unsupported class and a size
    that cannot be, InputError for a pipeline that cannot be had and a folder that is not whole.
    """
    if name in BASES:
        return BASES[name]
    if (asked := SIZED.fullmatch(name)) and not Path(name).expanduser().is_dir():
        return _resized(find(asked["base"]), asked)
    for spec in BASES.values():
        if name == spec.repo and not spec.parts:
            return spec
    folder = Path(name).expanduser()
    if folder.is_dir() and not (folder / INDEX).is_file():
        raise SettingsError(f"{name} is no diffusers pipeline's folder: it has no {INDEX}")
    if not folder.is_dir() and not HUB_ID.fullmatch(name):
        raise SettingsError(
            f"unknown base model {name!r}; known are {', '.join(BASES)}, a diffusers pipeline's folder, "
            "or its id on the Hub (owner/name), each at its own size or @WIDTHxHEIGHT"
        )
    repo = str(folder.resolve()) if folder.is_dir() else name
    try:
        spec = _brought(name, repo)
    except REFUSALS as error:
        raise InputError(why_not(name, [(repo, None)], error)) from error
    if folder.is_dir() and (absent := lacks(repo, None, {})):
        raise InputError(f"{name} lacks files, or weights as safetensors, of {', '.join(absent)}")
    return spec


def load(name: str, device: str = "cpu") -> Backbone:
    """The base model that `find` knows by that name, its denoiser on `device`, all else on the CPU.

    Raises SettingsError and InputError as `find` does, and InputError when its files cannot be had.
    """
    spec = find(name)
    try:
        # What is on this disk is loaded as folders: diffusers would ask the Hub, and for parts not used here.
        here = folder(spec.repo, spec.revision, spec.parts)
        parts = {part: place(source) or source for part, source in spec.parts.items()}
        source = spec if here is None else replace(spec, repo=str(here), revision=None, parts=parts)
        return import_module(f"motion_studio.backbones.{spec.module}").load(source, device)
    except REFUSALS as error:
        sources = [
            (spec.repo, spec.revision),
            *((repo_and_file(part)[0], None) for part in spec.parts.values()),
        ]
        raise InputError(why_not(name, sources, error)) from error
    except (ValueError, RuntimeError, ImportError) as error:
        # What is wrong with a folder that someone made: weights of other shapes than its config says, a part
        # of a library of its own, or of one that is not installed. A fault of ours is told as one.
        why = (str(error).strip().splitlines() or [""])[0]
        if "memory" in why.lower():
            raise  # which is no fault of the folder's, and has words of its own
        raise InputError(f"{name} cannot be loaded: {type(error).__name__}: {why[:300]}") from error


def unsized(name: str) -> str:
    """A base's name without the size that was asked for behind it."""
    asked = SIZED.fullmatch(name)
    return asked["base"] if asked else name


def _resized(spec: BaseSpec, asked: re.Match[str]) -> BaseSpec:
    width, height, frames = (int(asked[part] or 0) for part in ("width", "height", "frames"))
    if not all(side in SIDES and side % STEP == 0 for side in (width, height)):
        raise SettingsError(f"{asked[0]}: sides of {SIDES[0]} to {SIDES[-1]} that {STEP} divides are allowed")
    if asked["frames"] and not 2 <= frames <= spec.max_frames:
        raise SettingsError(f"{asked[0]}: {spec.name} has 2 to {spec.max_frames} frames")
    resized = asked[0].removeprefix(asked["base"])
    head, colon, rest = spec.title.partition(":")
    title = f"{head}, {resized[1:].replace('x', ' × ')}{colon}{rest}"
    size = {"width": width, "height": height, "frames": frames or spec.frames}
    return replace(spec, title=title, resized=resized, **size)


def _brought(name: str, repo: str) -> BaseSpec:
    """A user's own pipeline: the adapter and defaults of its class, its size and length from its configs."""
    index = fetched_json(repo, INDEX)
    kind = str(index.get("_class_name"))
    if kind not in FAMILIES:
        raise SettingsError(f"{name} is a {kind}; supported are {', '.join(FAMILIES)}")
    like = BASES[FAMILIES[kind]]
    if (index.get("transformer_2") or [None])[0] or index.get("expand_timesteps"):
        raise SettingsError(f"{name} is a Wan 2.2; pipelines of Wan 2.1 are supported")
    denoiser = fetched_json(repo, f"{'transformer' if 'transformer' in index else 'unet'}/config.json")
    if "unet" in index and (taken := denoiser.get("in_channels", 4)) != 4:
        raise SettingsError(f"{name} takes {taken} channels, as models that paint in do; 4 are supported")
    blocks = fetched_json(repo, "vae/config.json").get("block_out_channels")
    height, width = like.height, like.width
    sample = denoiser.get("sample_size")
    if like.module == "unet3d" and sample == 32:
        sample = None  # ModelScope's, which all that was made of it says, whatever size it was taught at
    if sample and blocks:
        sides = sample if isinstance(sample, list) else (sample, sample)
        height, width = (side * 2 ** (len(blocks) - 1) for side in sides)
    most = denoiser.get("motion_max_seq_length") or denoiser.get("video_length") or like.max_frames
    return replace(
        like,
        # Names go into recipes and motions, which don't say where a machine keeps its files.
        name=Path(repo).name if Path(repo).is_dir() else name,
        title=Path(repo).name,
        licence="its own",
        size_mb=0,  # unknown
        frames=min(like.frames, most),
        height=height,
        width=width,
        max_frames=most,
        repo=repo,
        revision=None,
        parts={part: source for part, source in like.parts.items() if part not in index},
    )
