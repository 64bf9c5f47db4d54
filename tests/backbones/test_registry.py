"""Which base models there are, and how they and a user's own are loaded: from real folders, at tiny size."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    MotionAdapter,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from peft import LoraConfig, get_peft_model_state_dict
from tiny import (
    random_motion,
    tiny_pipeline,
    tiny_scheduler,
    tiny_text,
    tiny_unet3d,
    tiny_unet3d_pipeline,
)

from motion_studio.backbones import registry
from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.hub import on_disk, why_not
from motion_studio.backbones.registry import BASES, FAMILIES, SD15, ZEROSCOPE, find, load
from motion_studio.backbones.unet3d import UNet3DBackbone
from motion_studio.cli.main import main
from motion_studio.errors import InputError, SettingsError
from motion_studio.studio.denoise import denoise
from motion_studio.video.files import read_clip, read_recipe


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """`cache(repo, revision)` is the folder where the Hub's cache keeps that repository."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def folder(repo: str, revision: str = "main") -> Path:
        root, commit = tmp_path / "hub" / f"models--{repo.replace('/', '--')}", "0123456789" * 4
        ref = root / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)
        (root / "snapshots" / commit).mkdir(parents=True, exist_ok=True)
        return root / "snapshots" / commit

    return folder


def picture_model(seed: int = 0) -> StableDiffusionPipeline:
    torch.manual_seed(seed)
    return StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
        ),
        **tiny_text(),
        unet=UNet2DConditionModel(
            sample_size=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            cross_attention_dim=16,
            attention_head_dim=2,
            norm_num_groups=4,
        ),
        scheduler=tiny_scheduler("epsilon"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def adapter() -> MotionAdapter:
    torch.manual_seed(1)
    return MotionAdapter(
        block_out_channels=(8, 16),
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=4,
        motion_max_seq_length=16,
    )


def save_lora(folder: Path, name: str) -> None:
    torch.manual_seed(2)
    unet = picture_model().unet
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    layers = get_peft_model_state_dict(unet)
    AnimateDiffPipeline.save_lora_weights(folder, unet_lora_layers=layers, weight_name=name)


def predicted(backbone, size=(8, 8)):
    latents = torch.randn(1, 4, 4, *size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return backbone.predict(latents, 500, backbone.encode_text(["a red ball"]))


def test_rows():
    for name, spec in BASES.items():
        assert spec.name == name and find(name) is spec
        assert Path(registry.__file__).with_name(f"{spec.module}.py").is_file()
        assert spec.frames <= spec.max_frames and spec.licence and spec.size_mb and spec.memory_mb
    assert set(FAMILIES.values()) <= BASES.keys()
    assert find("ali-vilab/text-to-video-ms-1.7b") is BASES["modelscope"]


def test_settings_that_suit_a_base():
    toybox = BASES["toybox"]
    one, two = toybox.generation("a ball"), toybox.generation("a ball", 2)
    assert (one.guidance, one.play_until, one.steps) == (toybox.guidance, toybox.play_until, toybox.steps)
    changed = {name for name, value in two.to_json().items() if value != one.to_json()[name]}
    assert changed == toybox.several.keys() == {"guidance"}
    assert toybox.generation("a ball", 2, guidance=7.0).guidance == 7.0
    assert BASES["wan"].generation("a ball", 2) == BASES["wan"].generation("a ball")


def test_listing_loads_neither_models_nor_their_libraries(tmp_path):
    code = (
        "import sys; from motion_studio.cli.main import main; assert main(['bases', '--json']) == 0; "
        "assert not {'diffusers', 'transformers', 'peft'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = {row["name"]: row for row in json.loads(ended.stdout)["bases"]}
    assert rows.keys() == BASES.keys()
    assert {"title", "licence", "frames", "height", "width", "fps", "size_mb", "looks", "guidance"} <= set(
        rows["toybox"]
    )
    assert {"memory_mb", "steps", "repo", "on_disk"} <= set(rows["zeroscope"])


def test_a_folder_of_unet3d(tmp_path):
    tiny_unet3d_pipeline().save_pretrained(tmp_path)
    loaded, kept = load(str(tmp_path)), tiny_unet3d()
    assert isinstance(loaded, UNet3DBackbone) and loaded.dtype == torch.float32
    assert loaded.weights_hash == kept.weights_hash
    assert torch.allclose(predicted(loaded), predicted(kept), atol=1e-5)
    assert (loaded.height, loaded.width, loaded.frames) == (32, 32, BASES["zeroscope"].frames)
    assert loaded.name == tmp_path.name and on_disk(str(tmp_path), None, {})


def test_a_folder_of_animatediff(tmp_path):
    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path)
    loaded = load(str(tmp_path))
    assert isinstance(loaded, AnimateDiffBackbone)
    assert (loaded.spec.max_frames, loaded.latent_size) == (16, (8, 8))
    assert torch.allclose(predicted(loaded), predicted(AnimateDiffBackbone(loaded.spec, pipe)), atol=1e-5)
    # Its own schedule stays.
    assert loaded.scheduler(1).config.beta_schedule == "scaled_linear"


def test_a_picture_model_with_the_motion_adapter(tmp_path, cache):
    adapter().save_pretrained(cache(BASES["animatediff"].parts["motion_adapter"]))
    pipe = picture_model()
    pipe.save_pretrained(tmp_path / "pictures")
    loaded = load(str(tmp_path / "pictures"))
    assert isinstance(loaded, AnimateDiffBackbone) and len(loaded.sites) == 14
    wanted = AnimateDiffPipeline(
        **{
            name: part
            for name, part in pipe.components.items()
            if name not in ("safety_checker", "image_encoder", "feature_extractor")
        },
        motion_adapter=adapter(),
    )
    assert torch.allclose(predicted(loaded), predicted(AnimateDiffBackbone(loaded.spec, wanted)), atol=1e-5)
    assert loaded.scheduler(1).config.beta_schedule == "linear"
    assert not on_disk(SD15, None, BASES["animatediff"].parts)
    pipe.save_pretrained(cache(SD15))
    assert on_disk(SD15, None, BASES["animatediff"].parts)
    # As in the index of Stable Diffusion 1.5: parts that are not used here, and so not fetched.
    index = cache(SD15) / "model_index.json"
    named = json.loads(index.read_text()) | {
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    }
    index.write_text(json.dumps(named))
    here = load("animatediff")
    assert here.weights_hash == loaded.weights_hash
    assert not any(isinstance(part, MotionAdapter) for part in here.pipe.components.values())


def test_a_wan_of_two_transformers_is_refused_before_it_is_fetched(tmp_path):
    index = {"_class_name": "WanPipeline", "transformer_2": ["diffusers", "WanTransformer3DModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(SettingsError, match="Wan 2.1 are supported"):
        find(str(tmp_path))


def test_animatelcm_has_its_lora_merged_in_and_samples_alike_twice(cache):
    spec = BASES["animatelcm"]
    folder = cache(spec.parts["motion_adapter"])
    picture_model().save_pretrained(cache(SD15))
    adapter().save_pretrained(folder)
    assert not on_disk(SD15, None, spec.parts)
    save_lora(folder, spec.parts["lora"].rpartition("/")[2])
    assert on_disk(SD15, None, spec.parts)
    loaded = load("animatelcm")
    adapter().save_pretrained(cache(BASES["animatediff"].parts["motion_adapter"]))
    assert loaded.weights_hash == load("animatelcm").weights_hash != load("animatediff").weights_hash
    assert not any("lora" in name for name in loaded.unet.state_dict())
    noise, text = torch.randn(1, 4, 4, 8, 8), loaded.encode_text(["", "a red ball"])
    one, two = ([*denoise(loaded, {}, noise, text, spec.generation(""))][-1][1] for _ in range(2))
    assert torch.equal(one, two) and len(loaded.scheduler(spec.steps).timesteps) == 6
    with pytest.raises(SettingsError, match="steps=60"):
        loaded.scheduler(60)


def test_a_revision_of_the_hub_and_a_unet_from_elsewhere(cache):
    spec = BASES["zeroscope"]
    assert not on_disk(ZEROSCOPE, spec.revision, {})
    tiny_unet3d_pipeline().save_pretrained(cache(ZEROSCOPE, spec.revision))
    assert on_disk(ZEROSCOPE, spec.revision, {}) and not on_disk(ZEROSCOPE, None, {})
    assert load("zeroscope").weights_hash == tiny_unet3d().weights_hash
    parts = BASES["videocrafter2"].parts
    assert not on_disk(ZEROSCOPE, spec.revision, parts)
    other = tiny_unet3d_pipeline(seed=1)
    other.unet.save_pretrained(cache(parts["unet"]))
    assert on_disk(ZEROSCOPE, spec.revision, parts)
    assert load("videocrafter2").weights_hash == tiny_unet3d(seed=1).weights_hash


def test_a_hub_id(cache):
    tiny_unet3d_pipeline().save_pretrained(cache("someone/clips"))
    loaded = load("someone/clips")
    assert isinstance(loaded, UNet3DBackbone)
    assert (loaded.name, loaded.spec.title, loaded.width) == ("someone/clips", "clips", 32)


def test_a_shard_that_is_missing_is_seen(tmp_path):
    tiny_unet3d_pipeline().save_pretrained(tmp_path)
    index = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": "part-2-of-2.safetensors"}}))
    assert not on_disk(str(tmp_path), None, {})


def test_another_size_than_its_own(tmp_path):
    tiny_unet3d_pipeline().save_pretrained(tmp_path)
    wide, longer = find(f"{tmp_path}@64x48"), find(f"{tmp_path}@32x64x6")
    assert (wide.width, wide.height, wide.frames) == (64, 48, BASES["zeroscope"].frames)
    assert (longer.width, longer.height, longer.frames) == (32, 64, 6)
    assert wide.name == tmp_path.name and wide.resized == "@64x48" and wide.title.endswith("64 × 48")
    loaded, own = load(f"{tmp_path}@64x48"), load(str(tmp_path))
    assert loaded.latent_size == (12, 16) and loaded.weights_hash == own.weights_hash
    loaded.check(random_motion(own, 0))  # it plays at every size
    small = find("animatediff@256x384")
    assert (small.width, small.height, small.frames, small.name) == (256, 384, 16, "animatediff")
    for wrong in ("toybox@100x96", "toybox@16x64", "toybox@64x9999", "toybox@64x64x1", "toybox@64x64x65"):
        assert "\n" not in refused(wrong) and "@" in refused(wrong)
    assert "@WIDTHxHEIGHT" in refused("toybox@64")


def test_a_size_goes_into_the_recipe(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["--base", "toybox@64x48x8", "--prompt", "a red star", "--steps", "1"]
    assert main(["generate", *asked, "--out", "v.mp4"]) == 0
    clip = read_clip("v.mp4")
    assert (clip.num_frames, clip.width / clip.height) == (8, 64 / 48)
    assert read_recipe("v.mp4")["base"] == "toybox@64x48x8"
    assert main(["generate", "--recipe", "v.mp4", "--out", "again.mp4"]) == 0
    assert Path("again.mp4").read_bytes() == Path("v.mp4").read_bytes()
    assert main(["generate", "--base", "toybox@50x50", "--prompt", "a", "--out", "x.mp4"]) == 2
    assert "toybox@50x50" in capsys.readouterr().err


def test_a_size_that_says_nothing_is_passed_over(tmp_path):
    """ModelScope's 32, in whatever was made of it."""
    tiny_unet3d_pipeline().save_pretrained(tmp_path)
    config = tmp_path / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sample_size": 32}))
    spec = find(str(tmp_path))
    assert (spec.width, spec.height) == (BASES["zeroscope"].width, BASES["zeroscope"].height)


def changed(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


FAULTS = {
    "other weights than its config says": lambda folder: changed(
        folder / "unet" / "config.json", block_out_channels=[16, 16]
    ),
    "no tokenizer": lambda folder: shutil.rmtree(folder / "tokenizer"),
    "a part of a library of its own": lambda folder: changed(
        folder / "model_index.json", vae=["their_library", "Autoencoder"]
    ),
    "takes 9 channels": lambda folder: changed(folder / "unet" / "config.json", in_channels=9),
    "no schedule": lambda folder: changed(
        folder / "model_index.json", scheduler=["diffusers", "EDMEulerScheduler"]
    ),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_folder_with_a_fault_is_refused_in_one_line(tmp_path, fault):
    tiny_unet3d_pipeline().save_pretrained(tmp_path)
    FAULTS[fault](tmp_path)
    with pytest.raises(InputError) as caught:
        _ = load(str(tmp_path)).process
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 30


def refused(name: str) -> str:
    with pytest.raises(InputError) as caught:
        load(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path, cache):
    assert "toybox" in refused("tyobox")
    assert "model_index.json" in refused(str(tmp_path))
    index = tmp_path / "model_index.json"
    index.write_text('{"_class_name": "CogVideoXPipeline"}')
    message = refused(str(tmp_path))
    assert "CogVideoXPipeline" in message and all(kind in message for kind in FAMILIES)
    index.write_text('{"_class_name": ["module", "Class"]}')
    assert "supported" in refused(str(tmp_path))
    index.write_text("[1")
    assert "JSON" in refused(str(tmp_path))
    assert "hf download someone/nothing" in refused("someone/nothing")
    assert f"hf download {ZEROSCOPE} --revision refs/pr/46" in refused("zeroscope")
    message = refused("animatelcm")
    assert message.count("hf download") == 2


def test_a_pickle_is_never_read(tmp_path):
    tiny_unet3d_pipeline().save_pretrained(tmp_path, safe_serialization=False)
    assert list(tmp_path.glob("unet/*.bin")) and not on_disk(str(tmp_path), None, {})
    assert "safetensors" in refused(str(tmp_path))


def test_why_the_hub_keeps_it_to_itself():
    response = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co"))
    for kind, words in ((GatedRepoError, "accept its terms"), (RepositoryNotFoundError, "no a/b")):
        wrapped = OSError("many\nlines")
        wrapped.__cause__ = kind("no", response=response)
        message = why_not("a/b", [("a/b", None)], wrapped)
        assert words in message and "a/b" in message and "\n" not in message


def test_the_command_line_says_what_to_do(cache, capsys, tmp_path):
    code = main(["generate", "--prompt", "x", "--base", "zeroscope", "--out", str(tmp_path / "v.mp4")])
    error = capsys.readouterr().err
    assert code == 2 and error.count("\n") == 1 and "hf download" in error


def test_a_video_of_ones_own_base_is_made_again_from_its_recipe(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_unet3d_pipeline().save_pretrained("models/mine")
    made = ("--prompt", "x", "--frames", "4", "--steps", "2", "--base", "models/mine", "--out", "v.mp4")
    assert main(["generate", *made, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["base"] == "mine"
    assert main(["generate", "--recipe", "v.mp4", "--out", "w.mp4"]) == 2
    assert "'mine'" in capsys.readouterr().err
    assert main(["generate", "--recipe", "v.mp4", "--base", "models/mine", "--out", "w.mp4"]) == 0
    assert Path("v.mp4").read_bytes() == Path("w.mp4").read_bytes()
