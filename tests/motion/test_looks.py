from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.motion.looks import Recast, random_colour_matrix, shuffle_looks, without_looks
from motion_studio.motion.operations_place import Along
from motion_studio.toybox.judge import correlation, layout
from motion_studio.toybox.sample import HELD_OUT, sample_scene
from motion_studio.toybox.world import render
from motion_studio.video.clip import Clip
from motion_studio.video.tracks import see

PATH = [(0.02 * n, -0.01 * n) for n in range(12)]


@pytest.fixture(params=["factored", "per frame", "along a path"])
def motion(request, make_motion):
    a = make_motion(per_frame=request.param == "per frame")
    return Along(PATH).apply(a) if request.param == "along a path" else a


def test_raw_changes_nothing(motion):
    assert without_looks(motion, "raw") is motion


def test_centre_takes_the_mean_over_frames(motion):
    centred = without_looks(motion, "centre")
    assert centred.info.looks == "centre"
    for name, site in motion.sites.items():
        v = site.v()
        torch.testing.assert_close(centred.sites[name].v(), v - v.mean(1, keepdim=True), atol=1e-5, rtol=1e-5)
        assert torch.equal(centred.sites[name].qk, site.qk)


@pytest.mark.parametrize("frame0", ["raw", "zero"])
def test_difference_is_from_frame_to_frame(motion, frame0):
    result = without_looks(motion, "difference", frame0=frame0)
    for name, site in motion.sites.items():
        v = site.v()
        difference = torch.cat([v[:, :1] if frame0 == "raw" else 0 * v[:, :1], v[:, 1:] - v[:, :-1]], dim=1)
        torch.testing.assert_close(result.sites[name].v(), difference, atol=1e-5, rtol=1e-5)
        assert torch.equal(result.sites[name].qk, site.qk)


def test_looks_are_taken_out_once(motion):
    centred = without_looks(motion, "centre")
    assert without_looks(centred, "centre") is centred
    assert without_looks(centred, "difference") is centred


def test_what_does_not_move_goes(make_motion):
    a = make_motion()
    sites = {
        n: SiteEmbedding(s.qk, s.space, s.time[:, :1].expand_as(s.time), s.grid) for n, s in a.sites.items()
    }
    still = Motion(sites)
    assert all(site.v().abs().max() < 1e-5 for site in without_looks(still, "centre").sites.values())
    assert not without_looks(still, "difference", "zero").sites["up"].v().any()


def test_factored_stays_factored(make_motion):
    for mode in ("centre", "difference"):
        assert without_looks(make_motion(), mode).sites["up"].space.shape == (1, 36, 2)


def test_without_values_nothing_is_taken():
    keys = Motion({"a": SiteEmbedding(torch.ones(4, 3))})
    assert without_looks(keys, "centre") is keys


def test_unknown_modes_are_refused(make_motion):
    with pytest.raises(InputError, match="'mean'.*raw, centre, difference, background"):
        without_looks(make_motion(), "mean")
    with pytest.raises(InputError, match="'one'"):
        without_looks(make_motion(), "difference", frame0="one")


def test_colour_matrices_are_rotations_of_either_hand():
    generator = torch.Generator().manual_seed(0)
    matrices = torch.stack([random_colour_matrix(generator) for _ in range(400)])
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).expand(400, 3, 3), atol=1e-5, rtol=0)
    assert 120 < (matrices.det() > 0).sum() < 280
    assert matrices.mean(0).abs().max() < 0.1
    torch.testing.assert_close(matrices.square().mean(0), torch.full((3, 3), 1 / 3), atol=0.06, rtol=0)


def test_shuffled_frames_share_one_matrix():
    frames = 0.5 + 0.2 * (torch.rand(5, 3, 6, 6) - 0.5)
    shuffled = shuffle_looks(frames, torch.Generator().manual_seed(3))
    matrix = random_colour_matrix(torch.Generator().manual_seed(3))
    torch.testing.assert_close(shuffled - 0.5, torch.einsum("dc,fchw->fdhw", matrix, frames - 0.5))
    torch.testing.assert_close(matrix.T @ (shuffled - 0.5).flatten(2), (frames - 0.5).flatten(2))


def test_shuffling_stays_in_range_and_leaves_grey():
    shuffled = shuffle_looks(torch.rand(3, 3, 8, 8), torch.Generator().manual_seed(1))
    assert shuffled.min() >= 0 and shuffled.max() <= 1
    assert torch.equal(shuffle_looks(torch.full((2, 3, 4, 4), 0.5)), torch.full((2, 3, 4, 4), 0.5))
    with pytest.raises(InputError, match=r"\(F, 3, H, W\) is allowed"):
        shuffle_looks(torch.rand(3, 8, 8))


@pytest.fixture(scope="module", params=[21, 22, 23])
def scene(request):
    """Scenes whose object and camera move at once."""
    return sample_scene(HELD_OUT + request.param, move="free", camera="free")


def test_another_ground_is_carried_along_and_the_object_stays(scene):
    clip = render(scene)
    seen = see(clip)
    assert seen.camera_confidence > 0.4
    other = Clip(
        Recast(clip.frames, seen.cover, seen.camera).draw(torch.Generator().manual_seed(0)), clip.fps
    )
    again = see(other)
    assert correlation(again.camera.numpy(), seen.camera.numpy()) > 0.98
    assert correlation(again.path.numpy(), scene.path()) > 0.98
    assert layout(scene, clip) > 0.95 and abs(layout(scene, other)) < 0.5


def test_no_ground_is_like_another(scene):
    clip, generator = render(scene), torch.Generator().manual_seed(0)
    seen = see(clip)
    shown = Recast(clip.frames, seen.cover, seen.camera)
    others = [shown.draw(generator) for _ in range(8)]
    leaks = [layout(scene, Clip(frames, clip.fps)) for frames in others]
    assert abs(sum(leaks)) / 8 < 0.25
    assert all(frames.min() >= 0 and frames.max() <= 1 for frames in others)
    first = Recast(clip.frames, seen.cover, seen.camera).draw(torch.Generator().manual_seed(0))
    assert torch.equal(first, others[0]) and not torch.equal(first, others[1])


def test_without_an_object_all_is_ground_and_without_a_ground_none():
    frames, still = torch.rand(3, 3, 8, 8), torch.zeros(3, 4)
    ground = Recast(frames, torch.zeros(3, 4, 4), still).draw(torch.Generator().manual_seed(0))
    assert torch.allclose(ground[0], ground[2]) and ground.std() > 0.01  # the camera is still
    kept = Recast(frames, torch.ones(3, 4, 4), still).draw(torch.Generator().manual_seed(0))
    assert torch.allclose(kept.sort(1).values, frames.sort(1).values)  # only channels changed places
    with pytest.raises(InputError, match=r"\(F, h, w\) and \(F, 4\)"):
        Recast(frames, torch.zeros(2, 4, 4), still)
    with pytest.raises(InputError, match=r"\(F, 4\) are allowed"):
        Recast(frames, torch.zeros(3, 4, 4), torch.zeros(3, 2))
