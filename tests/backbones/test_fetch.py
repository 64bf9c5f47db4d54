"""A base model's files are fetched from a Hub of our own: with progress, stopped, taken up again, checked."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hub import (
    API,
    COMMIT,
    REPO,
    begin,
    digest,
    dripping,
    flipped,
    hang,
    page,
    page_of_no_length,
    refuse,
    say,
    serving,
)
from huggingface_hub import constants, hf_hub_download
from safetensors.torch import load_file, save_file
from tiny import tiny_pipeline

from motion_studio.backbones.fetch import fetch, is_here
from motion_studio.backbones.registry import BASES, find, load
from motion_studio.errors import Cancelled, InputError
from motion_studio.settings import GenerationSettings, InversionSettings
from motion_studio.studio.jobs import Job
from motion_studio.studio.studio import Studio
from motion_studio.video.clip import Clip

SPEC = replace(BASES["toybox"], name=REPO, title="Tiny", repo=REPO)
BIG, PADDING = "vae/diffusion_pytorch_model.safetensors", 2_000_000
UNET = "unet/diffusion_pytorch_model.safetensors"
SLOW = 110_000  # bytes a second


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    tiny_pipeline().save_pretrained(folder)
    weights = load_file(folder / BIG)
    save_file({**weights, "more": torch.zeros(PADDING, dtype=torch.uint8)}, folder / BIG, {"format": "pt"})
    for copy in ("fp16", "bf16", "fp16-00001-of-00002", "non_ema"):
        (folder / "unet" / f"diffusion_pytorch_model.{copy}.safetensors").write_bytes(b"another copy")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    return folder


@pytest.fixture
def hub(files, tmp_path, monkeypatch):
    with serving(files, tmp_path / "cache", monkeypatch) as hub:
        yield hub


@pytest.fixture
def studio(hub, tmp_path):
    studio = Studio(tmp_path / "data", "cpu", REPO)
    yield studio
    hub.closing.set()
    studio.close()


def parts() -> dict[str, int]:
    """The files of which a part is kept, by their hashes, and its size."""
    kept = Path(constants.HF_HUB_CACHE).rglob("*.incomplete")
    return {path.name.split(".")[0]: path.stat().st_size for path in kept}


def put_part(files: Path, content: bytes) -> None:
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{digest(files / BIG)}.incomplete").write_bytes(content)


def is_sound(files: Path) -> bool:
    return is_here(SPEC) and Path(hf_hub_download(REPO, BIG)).read_bytes() == (files / BIG).read_bytes()


def refused(spec=SPEC) -> str:
    with pytest.raises(InputError) as caught:
        list(fetch(spec, threading.Event()))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_that_is_loaded_is_fetched_and_nothing_else(hub, files):
    assert not is_here(SPEC)
    steps = list(fetch(SPEC, threading.Event()))
    done, total = zip(*steps, strict=True)
    assert len(set(total)) == 1 and total[0] > PADDING
    assert list(done) == sorted(done) and done[-1] == total[0]
    names = [name for name, _ in hub.asked]
    assert {"model_index.json", UNET} < set(names) and len(names) == len(set(names))
    copies = ("fp16", "bf16", "non_ema", ".bin")
    assert not any(copy in name for name in names for copy in copies)
    assert is_sound(files)
    fetched = sum((files / name).stat().st_size for name in names)
    assert fetched == total[0]


def test_what_is_here_asks_nobody(hub):
    list(fetch(SPEC, threading.Event()))
    hub.asked.clear()
    hub.shutdown()
    assert list(fetch(SPEC, threading.Event())) == []
    assert list(fetch(BASES["toybox"], threading.Event())) == []
    assert find(REPO).name == load(REPO).name == REPO
    assert hub.asked == []


@pytest.mark.parametrize("name", [BIG, "tokenizer/tokenizer.json"])
def test_a_stopped_fetch_keeps_what_came(hub, files, monkeypatch, name):
    monkeypatch.setattr(
        constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2
    )  # the thread that is left behind holds the lock
    half = (files / name).stat().st_size // 2
    hub.instead[name] = dripping(max(half, 10), half)
    cancel, began = threading.Event(), time.monotonic()
    with pytest.raises(Cancelled, match="what came is kept"):
        for _ in fetch(SPEC, cancel):
            if parts().get(digest(files / name), 0) >= half or time.monotonic() > began + 20:
                cancel.set()
    assert not is_here(SPEC)
    assert parts()[digest(files / name)] == half
    del hub.instead[name]
    hub.asked.clear()
    list(fetch(SPEC, threading.Event()))
    assert dict(hub.asked)[name] == half
    assert is_sound(files) and not parts()


def test_a_fetch_that_is_dropped_ends_at_once(hub, files):
    hub.instead[BIG] = dripping(SLOW)
    fetched = fetch(SPEC, threading.Event())
    while next(fetched)[0] < SLOW // 2:
        pass
    began = time.monotonic()
    fetched.close()
    assert time.monotonic() < began + 1
    time.sleep(0.5)
    kept = parts()
    time.sleep(0.5)
    assert parts() == kept and list(kept) == [digest(files / BIG)]


def a_job(studio: Studio) -> Job:
    return studio.generate(GenerationSettings("a ball", steps=1, guidance=1.0), keep=False)


def seconds_to_cancel(job: Job) -> float:
    began = time.monotonic()
    job.cancel()
    assert job.wait(30) and job.state == "cancelled", job.error
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        (BIG, dripping(SLOW)),
        (BIG, dripping(SLOW, SLOW // 2)),
        (BIG, refuse(429, Retry_After="30")),
        (BIG, hang),
        (API, hang),
        (UNET, hang),
    ],
    ids=["slow", "stalled", "asked to wait", "no file's answer", "no API's answer", "no small file's answer"],
)
def test_a_job_that_fetches_is_cancelled_at_once(hub, studio, where, answer):
    hub.instead[where] = answer
    job = a_job(studio)
    time.sleep(2)
    assert job.state == "running"
    assert seconds_to_cancel(job) < 1.5


def test_a_job_that_waits_for_the_fetch_of_another_is_cancelled_at_once(hub, studio, files):
    hub.instead[BIG] = dripping(SLOW * 3)
    clip = Clip(torch.rand(4, 3, 32, 32), 8.0)
    first = studio.invert(clip, InversionSettings(steps=1, preview_every=0))
    began = time.monotonic()
    while not parts().get(digest(files / BIG)):
        assert time.monotonic() < began + 3
        time.sleep(0.05)
    second = a_job(studio)
    time.sleep(4)
    assert second.progress.step > 0, "what another job fetches shows as progress"
    assert seconds_to_cancel(second) < 1.5
    assert first.state == "running"
    hub.instead.clear()
    assert first.wait(60) and first.state == "done", first.error
    assert [asked for asked in hub.asked if asked[0] == BIG] == [(BIG, 0)] and is_sound(files)


def test_what_was_stopped_in_a_stall_is_taken_up_by_the_next_job(hub, studio, files, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2)
    hub.instead[BIG] = dripping(SLOW, SLOW)
    job = a_job(studio)
    time.sleep(3)
    seconds_to_cancel(job)
    assert parts()[digest(files / BIG)] >= SLOW
    del hub.instead[BIG]
    hub.asked.clear()
    job = a_job(studio)
    assert job.wait(120) and job.state == "done", job.error
    assert dict(hub.asked)[BIG] >= SLOW and is_sound(files)


def test_a_part_that_is_too_long_is_begun_anew(hub, files):
    put_part(files, b"x" * (PADDING * 2))
    list(fetch(SPEC, threading.Event()))
    assert dict(hub.asked)[BIG] == 0 and is_sound(files)


@pytest.mark.parametrize("answer", [page, page_of_no_length, flipped])
@pytest.mark.parametrize("name", [BIG, UNET, "unet/config.json"])
def test_what_comes_damaged_is_thrown_away(hub, files, name, answer):
    hub.instead[name] = answer
    message = refused()
    assert all(word in message for word in (name, REPO, "damaged", "try again"))
    assert not parts().get(digest(files / name))
    hub.instead.clear()
    list(fetch(SPEC, threading.Event()))
    assert is_sound(files)


@pytest.mark.parametrize("part", [b"<html>please log in", b"x" * (PADDING // 2)])
def test_a_part_that_was_wrong_is_found_out_and_begun_anew(hub, files, part):
    put_part(files, part)
    assert "damaged" in refused() and not parts()
    list(fetch(SPEC, threading.Event()))
    assert is_sound(files)


def test_a_page_in_place_of_the_rest_costs_nothing_of_what_came(hub, files):
    put_part(files, (files / BIG).read_bytes()[:5000])
    hub.instead[BIG] = page
    assert "damaged" in refused()
    hub.instead.clear()
    hub.asked.clear()
    list(fetch(SPEC, threading.Event()))
    assert dict(hub.asked)[BIG] == 5000 and is_sound(files)


def test_a_server_that_sends_all_for_the_rest_is_taken_at_its_word(hub, files):
    content = (files / BIG).read_bytes()
    put_part(files, b"x" * 5000)
    hub.instead[BIG] = lambda request, _, headers: say(request, content, {"ETag": headers["ETag"]}, 200)
    list(fetch(SPEC, threading.Event()))
    assert is_sound(files)


def test_what_breaks_off_is_taken_up_in_the_same_fetch(hub, files):
    def broken(request, body: bytes, headers: dict[str, str]) -> None:
        request.close_connection = True
        begin(request, {"Content-Length": str(len(body)), **headers})
        request.wfile.write(body[: PADDING // 3])

    hub.instead[BIG] = broken
    list(fetch(SPEC, threading.Event()))
    firsts = [first for name, first in hub.asked if name == BIG]
    assert firsts == [n * (PADDING // 3) for n in range(len(firsts))] and len(firsts) > 3
    assert is_sound(files)


def test_a_file_whose_name_leads_elsewhere_is_not_fetched(hub, tmp_path):
    def evil(request, body: bytes, headers: dict[str, str]) -> None:
        names = [b"unet/../../../../../evil.json", b"unet/..\\\\evil.json", b"/evil.json"]
        rows = b"".join(b', {"rfilename": "%s", "size": 2, "blobId": "%s"}' % (n, b"0" * 40) for n in names)
        body = body.replace(b"]}", rows + b"]}")
        say(request, body, headers)

    hub.instead[API] = evil
    list(fetch(SPEC, threading.Event()))
    assert is_here(SPEC) and not list(tmp_path.rglob("*evil*"))
    assert not any("evil" in name for name, _ in hub.asked)


def test_a_job_fetches_its_base_first(hub, studio):
    job = a_job(studio)
    assert job.wait(120) and job.state == "done", job.error
    assert is_here(SPEC) and load(REPO).name == REPO


def test_nothing_is_shown_of_a_fetch(hub, capfd):
    assert find(REPO).repo == REPO
    list(fetch(SPEC, threading.Event()))
    assert capfd.readouterr() == ("", "")


def test_the_library_finds_what_was_fetched(hub):
    list(fetch(SPEC, threading.Event()))
    found = Path(hf_hub_download(REPO, BIG, local_files_only=True))
    assert COMMIT in found.parts and found.resolve().name == digest(found)
