"""What is said where a base model's files cannot be had, and which of its files are fetched and loaded."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AnimateDiffPipeline
from diffusers.utils import logging as diffusers_logging
from hub import API, REPO, digest, page, refuse, serving
from huggingface_hub import constants
from test_registry import adapter, picture_model
from tiny import tiny_latte_pipeline, tiny_pipeline, tiny_unet3d_pipeline, tiny_wan_pipeline

from motion_studio.backbones.fetch import fetch, is_here
from motion_studio.backbones.registry import BASES, find, load
from motion_studio.cli.main import main
from motion_studio.errors import InputError

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
SPEC = replace(BASES["toybox"], name=REPO, title="Tiny", repo=REPO)
PIPELINES = {
    "animatediff": tiny_pipeline,
    "unet3d": tiny_unet3d_pipeline,
    "latte": tiny_latte_pipeline,
    "wan": tiny_wan_pipeline,
}


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    folder.mkdir()
    with serving(folder, tmp_path / "cache", monkeypatch) as hub:
        yield hub


@pytest.fixture
def tiny(hub, folder):
    tiny_pipeline().save_pretrained(folder)
    return hub


def refused(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fetched(spec=SPEC) -> None:
    list(fetch(spec, threading.Event()))


@pytest.mark.parametrize("where", [API, WEIGHTS])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse(401, X_Error_Message="Invalid credentials in Authorization header"), "hf auth login"),
        (refuse(403), "403"),
        (refuse(403, X_Error_Code="GatedRepo"), "accept its terms"),
        (refuse(404, X_Error_Code="RevisionNotFound"), "revision"),
        (refuse(404, X_Error_Code="EntryNotFound"), "no such file"),
        (refuse(404), "no such file"),
        (refuse(429, Retry_After="0"), "too much"),
        (refuse(500), "500"),
        (refuse(502, b"<html>bad gateway</html>"), "trouble of its own"),
    ],
    ids=["token", "forbidden", "gated", "revision", "entry", "404", "429", "500", "502"],
)
def test_each_answer_has_its_own_line(tiny, where, answer, words):
    tiny.instead[where] = answer
    message = refused(fetched)
    assert REPO in message and words in message and "cannot be reached" not in message
    if where == WEIGHTS and words not in ("accept its terms", "revision"):
        assert WEIGHTS in message


def test_a_page_in_place_of_the_api(tiny):
    tiny.instead[API] = page
    assert "log in" in refused(fetched)
    tiny.instead["model_index.json"] = page
    assert "log in" in refused(find, REPO)


def test_a_base_that_is_not_there(hub):
    absent = "someone/nothing"
    for call, given in ((fetched, replace(SPEC, name=absent, repo=absent)), (find, absent)):
        assert f"the Hub has no {absent}" in refused(call, given)
    assert "model_index.json" in refused(find, REPO)
    assert "double--dashes" in refused(find, "someone/double--dashes")


def test_cannot_be_reached_is_said_where_nobody_answers(hub, monkeypatch):
    hub.shutdown()
    hub.server_close()
    for offline in (False, True):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        message = refused(fetched)
        assert "cannot be reached" in message and f"hf download {REPO}" in message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full is Linux's")
def test_a_full_disk(tiny, folder):
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{digest(folder / WEIGHTS)}.incomplete").symlink_to("/dev/full")
    message = refused(fetched)
    assert "no space" in message and constants.HF_HUB_CACHE in message and "HF_HOME" in message


def test_a_cache_that_cannot_be_written(tiny):
    Path(constants.HF_HUB_CACHE).write_text("a file in place of a folder")
    message = refused(fetched)
    assert constants.HF_HUB_CACHE in message and "HF_HOME" in message and "reached" not in message


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("kind", PIPELINES)
def test_weights_in_half_precision_alone(hub, folder, kind, shards):
    pipe = PIPELINES[kind]()
    size = {"max_shard_size": "20kB"} if shards else {}
    pipe.to(torch.float16).save_pretrained(folder, variant="fp16", **size)
    assert bool(list(folder.rglob("*.index*"))) == shards
    here = load(str(folder))
    spec = find(REPO)
    assert not is_here(spec)
    fetched(spec)
    assert is_here(spec)
    there = load(REPO)
    assert there.weights_hash == here.weights_hash
    for part in ("denoiser", "vae"):
        loaded = getattr(there, part, None) or getattr(there.pipe, part)
        given = getattr(pipe, part, None) or getattr(pipe, "transformer", None) or pipe.unet
        for name, tensor in given.state_dict().items():
            assert torch.equal(loaded.state_dict()[name].to(tensor.dtype), tensor), name


def test_half_precision_is_fetched_of_the_parts_that_have_nothing_else(hub, folder):
    tiny_pipeline().save_pretrained(folder)
    tiny_pipeline(seed=1).save_pretrained(folder, variant="fp16")
    (folder / WEIGHTS).unlink()
    fetched(find(REPO))
    names = {name for name, _ in hub.asked if name.endswith(".safetensors")}
    assert names == {
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    }
    loaded, plain, half = load(REPO).pipe, tiny_pipeline(), tiny_pipeline(seed=1)
    for part, kept in (("unet", half), ("vae", plain), ("text_encoder", plain)):
        for name, tensor in getattr(kept, part).state_dict().items():
            assert torch.equal(getattr(loaded, part).state_dict()[name], tensor), name


def test_an_adapter_in_half_precision(hub, folder, tmp_path):
    adapter().to(torch.float16).save_pretrained(folder, variant="fp16")
    picture_model().save_pretrained(tmp_path / "pictures")
    spec = replace(find(str(tmp_path / "pictures")), parts={"motion_adapter": REPO})
    fetched(spec)
    assert is_here(spec)


def test_an_animatediff_that_holds_its_adapter(hub, folder):
    pictures = picture_model()
    given = {name: part for name, part in pictures.components.items() if name != "safety_checker"}
    pipe = AnimateDiffPipeline(**given, motion_adapter=adapter())
    pipe.save_pretrained(folder)
    assert json.loads((folder / "model_index.json").read_text())["motion_adapter"][0]
    spec = find(REPO)
    fetched(spec)
    assert not any(name.startswith("motion_adapter") for name, _ in hub.asked)
    loaded = load(REPO)
    for name, tensor in pipe.unet.state_dict().items():
        assert torch.equal(loaded.unet.state_dict()[name], tensor), name


def test_what_is_missing_of_a_picture_model_is_named(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    pictures = str(tmp_path / "pictures")
    picture_model().save_pretrained(pictures)
    theirs = BASES["animatediff"].parts["motion_adapter"]
    for call, given in ((fetched, find(pictures)), (load, pictures)):
        message = refused(call, given)
        assert message.startswith(theirs) and f"hf download {theirs}" in message


def test_a_folder_that_is_not_whole_fetches_nothing_for_it(hub, tmp_path):
    pictures = tmp_path / "pictures"
    picture_model().save_pretrained(pictures)
    (pictures / WEIGHTS).unlink()
    assert "unet" in refused(find, str(pictures)) and hub.asked == []


def test_pickles_alone_are_refused_before_they_are_fetched(hub, folder):
    tiny_pipeline().save_pretrained(folder, safe_serialization=False)
    assert "safetensors" in refused(fetched, find(REPO))
    assert not any(name.endswith(".bin") for name, _ in hub.asked)


@pytest.mark.parametrize("kind", ["fp16", "bin"])
def test_one_line_on_a_folder_that_cannot_be_loaded(folder, tmp_path, capfd, kind):
    tiny_pipeline().save_pretrained(folder, safe_serialization=kind != "bin", variant=kind)
    for weights in folder.glob("vae/*.safetensors"):
        weights.unlink()
    told, out = diffusers_logging.get_verbosity(), str(tmp_path / "v.mp4")
    diffusers_logging.set_verbosity_warning()
    capfd.readouterr()
    try:
        assert main(["generate", "--prompt", "x", "--base", str(folder), "--out", out]) == 2
    finally:
        diffusers_logging.set_verbosity(told)
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and error.startswith("error: ") and "vae" in error
