"""What the frames of a clip share, and what a camera takes along: ground, object and noise."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from tiny import made, settings

from motion_studio.motion.synchronised import SharedObject
from motion_studio.studio.along import LED, first_noise, shared_ground, shared_object
from motion_studio.studio.denoise import denoise
from motion_studio.studio.generate import filmed, played


def test_frames_share_a_ground_until_its_end(backbone, motion):
    panning = torch.zeros(4, 4)
    panning[:, 0] = torch.linspace(0, 0.5, 4)
    still, pan = (motion.replace_info(camera=rows) for rows in ([[0.0] * 4] * 4, panning.tolist()))
    shape, on = (1, 4, 4, 8, 8), settings(sync_until=0.34)
    for given, one in (
        (on, None),
        (on, motion),  # no curve is known
        (on, still),
        (settings(), pan),
        (settings(sync_until=0.34, strength=0), pan),
        (settings(sync_until=0.34, strength=-1), pan),
    ):
        assert shared_ground(shape, given, one) is None
        assert torch.equal(made(backbone, given, one), made(backbone, replace(given, sync_until=0.0), one))
    assert shared_ground(shape, settings(sync_until=1.0, strength=0.5), pan).share == 0.5
    first, more = made(backbone, on, pan), made(backbone, settings(sync_until=0.67), pan)
    assert not any(torch.equal(a, b) for a, b in ((first, more), (first, made(backbone, settings(), pan))))
    assert torch.equal(made(backbone, settings(sync_until=0.4), pan), first)  # one step of three
    assert made(backbone, settings(sync_until=0.34, frames=6), pan).shape[0] == 6

    ground = shared_ground(shape, settings(sync_until=1.0), pan)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    text = backbone.encode_text(["", "a red ball"])
    for _, latents, clean in denoise(backbone, {}, noise, text, settings(sync_until=1.0), None, [ground]):  # noqa: B007
        assert not torch.allclose(clean[:, :, 0], clean[:, :, 1])
    assert torch.allclose(latents, clean, atol=1e-4)  # the scheduler goes where the shared ground is


def test_a_ground_before_a_camera_at_rest_is_held_where_it_is_known_what_moves(backbone, motion):
    shape, on = (1, 4, 4, 8, 8), settings(sync_until=1.0)
    way = {"path": [[0.3 + 0.1 * n, 0.5] for n in range(4)], "extent": 0.15}
    known = motion.replace_info(camera=[[0.0] * 4] * 4, **way)
    for unknown in (
        known.replace_info(path=None),
        known.replace_info(extent=0.0),
        motion.replace_info(**way),
    ):
        assert shared_ground(shape, on, unknown) is None
    assert shared_ground(shape, on, known).share == 1
    assert shared_ground(shape, settings(sync_until=1.0, strength=0.4), known).share == 0.4
    ground = shared_ground(shape, on, known)
    clean = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    held = ground(clean)[0]
    corner, middle = held[:, :, 0, 0], held[:, :, 4]
    assert torch.allclose(corner, clean[0, :, :, 0, 0].mean(1, keepdim=True).expand_as(corner), atol=1e-5)
    own = torch.isclose(middle, clean[0, :, :, 4], atol=1e-6).all(0)
    assert own.any(1).all()  # in each frame the object is its own
    assert not torch.equal(made(backbone, on, known), made(backbone, settings(), known))


def test_frames_share_an_object_that_moves(backbone, motion):
    shape, on = (1, 4, 4, 8, 8), settings(sync_until=1.0)
    still, way = [[0.0] * 4] * 4, [[0.3 + 0.1 * n, 0.5] for n in range(4)]
    known = motion.replace_info(camera=still, path=way, extent=0.15)
    for given, one in (
        (settings(), known),
        (replace(on, strength=0.0), known),
        (replace(on, strength=-1.0), known),
        (replace(on, motion_type="camera"), known),
        (on, known.replace_info(path=None)),
        (on, known.replace_info(extent=0.0)),
        (on, known.replace_info(followed=0.0)),
        (on, known.replace_info(camera=None)),  # of a motion turned against itself
        (on, None),
    ):
        assert shared_object(shape, given, one, one and one.path()) is None
    assert shared_object(shape, on, known, known.path()).share == shared_ground(shape, on, known).share == 1
    weaker, half = known.replace_info(followed=0.5), replace(on, strength=0.5)
    assert shared_object(shape, half, weaker, known.path()).share == 0.25
    assert shared_ground(shape, half, weaker).share == 0.25
    free = known.replace_info(extent=0.0)
    held, alone = (made(backbone, on, one) for one in (known, free.replace_info(camera=None)))
    assert not torch.equal(held, alone)
    assert torch.equal(made(backbone, settings(), known), made(backbone, settings(), free))

    # Without sizes and turns of its own an object is taken to grow and turn as the ground does.
    moves = known.replace_info(camera=[[0.0, 0, 0.1 * n, 0.2 * n] for n in range(4)])
    own = {"sizes": [math.exp(0.1 * n) for n in range(4)], "turns": [1 + 0.2 * n for n in range(4)]}
    pictures = [
        shared_object(shape, on, moves.replace_info(**changes), moves.path()).places
        for changes in ({}, own, {"sizes": [1.0] * 4}, {"turns": [0.0] * 4})
    ]
    assert torch.allclose(pictures[0], pictures[1], atol=1e-5)
    assert not any(torch.allclose(pictures[0], other, atol=1e-2) for other in pictures[2:])


def test_noise_goes_along_with_an_object_that_turns(backbone, motion):
    shape, on = (1, 4, 4, 8, 8), settings(sync_until=1.0)
    way = {"path": [[0.5, 0.5]] * 4, "extent": 0.2, "camera": [[0.0] * 4] * 4}
    turns = motion.replace_info(**way, turns=[0.0, 0.5, 1.0, 1.5])
    fresh = first_noise(shape, on, None)
    for given, one in (
        (settings(), turns),
        (replace(on, carry=0.0), turns),
        (replace(on, motion_type="camera"), turns),
        (replace(on, strength=0.0), turns),
        (on, motion.replace_info(**way, turns=[1.0] * 4)),
        (on, motion.replace_info(**way)),
    ):
        object_ = shared_object(shape, given, one, one.path())
        assert torch.equal(first_noise(shape, given, one, [object_] if object_ else []), fresh)
    along = first_noise(shape, on, turns, [shared_object(shape, on, turns, turns.path())])
    assert not torch.equal(along, fresh)
    assert torch.equal(along[..., 0, 0], fresh[..., 0, 0])
    assert torch.equal(made(backbone, on, turns), made(backbone, on, turns))
    assert not torch.equal(made(backbone, on, turns), made(backbone, replace(on, carry=0.0), turns))


def test_a_motion_whose_object_is_held_plays_softer(backbone, motion):
    way = torch.tensor([[0.3, 0.5], [0.4, 0.5], [0.5, 0.5], [0.6, 0.5]])
    noise, text = torch.randn(1, 4, 4, 8, 8), backbone.encode_text(["", "a"])

    def latents(held=None, **changes):
        ready = played(backbone, settings(**changes), motion, held)
        *_, (_, latents, _) = denoise(backbone, ready, noise, text, settings())
        return latents

    held = [SharedObject(way, 0.2, torch.ones(4), torch.zeros(4), 8, 8, share) for share in (0.0, 0.5, 1.0)]
    softer = [latents(object_) for object_ in held]
    for made_, strength in zip(softer, (1, (1 + LED) / 2, LED), strict=True):
        assert torch.allclose(made_, latents(strength=strength), atol=1e-6)
    assert not torch.equal(softer[0], softer[2])


def test_an_object_is_held_only_while_the_motion_plays(backbone):
    shape = (1, 4, 4, 8, 8)
    way = torch.tensor([[0.3, 0.5], [0.4, 0.5], [0.5, 0.5], [0.6, 0.5]])
    object_ = SharedObject(way, 0.2, torch.ones(4), torch.zeros(4), 8, 8)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    text = backbone.encode_text(["", "a"])

    def latents(**changes):
        for _, latents, _ in denoise(backbone, {}, noise, text, settings(**changes), None, [object_]):  # noqa: B007
            pass
        return latents

    first = latents(sync_until=0.34)
    assert torch.equal(latents(sync_until=1.0, play_until=0.34), first)
    assert not torch.equal(latents(sync_until=1.0), first)
    assert not torch.equal(latents(sync_until=1.0, play_until=0.0), first)


def test_noise_is_carried_by_a_camera_that_moves(backbone, motion):
    panning = torch.zeros(4, 4)
    panning[:, 0] = torch.linspace(0, 0.5, 4)
    still, pan = (motion.replace_info(camera=rows, carry=1.0) for rows in ([[0.0] * 4] * 4, panning.tolist()))
    plain, shape = settings(carry=0.0), (1, 4, 4, 8, 8)
    fresh = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for one, given in (
        (None, settings(carry=1.0)),
        (motion, settings(carry=1.0)),
        (still, settings(carry=1.0)),
        (pan, plain),
        (pan.replace_info(carry=0.0), settings(carry=1.0)),
        (pan, settings(carry=1.0, strength=0)),
        (pan, settings(carry=1.0, strength=-1)),
    ):
        assert torch.equal(first_noise(shape, given, one), fresh)
    half, whole = (first_noise(shape, settings(carry=share), pan) for share in (0.5, 1.0))
    assert torch.equal(first_noise(shape, settings(carry=1.0, strength=0.5), pan), half)
    assert torch.equal(first_noise(shape, settings(), pan.replace_info(carry=0.5)), half)
    assert not torch.equal(half, whole) and not torch.equal(half, fresh)
    longer = first_noise((1, 4, 6, 8, 8), settings(carry=1.0), pan)
    assert longer.shape == (1, 4, 6, 8, 8)
    assert not torch.equal(made(backbone, settings(carry=1.0), pan), made(backbone, plain, pan))
    bare = made(backbone, plain)
    assert torch.equal(made(backbone, settings(carry=1.0)), bare)


def test_the_objects_part_holds_the_ground_still(backbone, motion):
    shape = (1, 4, 4, *backbone.latent_size)
    line = [[0.3, 0.5], [0.4, 0.5], [0.5, 0.5], [0.6, 0.5]]
    pan = [[0.1 * n, 0.0, 0.0, 0.0] for n in range(4)]
    moved = motion.replace_info(path=line, extent=0.1, camera=pan, carry=1.0)
    whole = settings(sync_until=0.2, play_until=0.6)
    part = replace(whole, motion_type="object")
    rests = moved.replace_info(camera=[[0.0] * 4] * 4)
    clean = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    held = shared_ground(shape, part, moved)(clean)
    assert torch.equal(held, shared_ground(shape, whole, rests)(clean))
    assert not torch.equal(held, shared_ground(shape, whole, moved)(clean))
    fresh = first_noise(shape, settings(), None)
    assert torch.equal(first_noise(shape, part, moved), fresh)
    assert not torch.equal(first_noise(shape, whole, moved), fresh)
    as_long = replace(part, sync_until=0.6)  # the ground, as long as it plays; the object not
    in_place = moved.replace_info(path=[[0.3, 0.5]] * 4)
    assert torch.equal(made(backbone, part, in_place), made(backbone, as_long, in_place))
    assert not torch.equal(made(backbone, part, moved), made(backbone, as_long, moved))
    assert not torch.equal(made(backbone, part, moved), made(backbone, whole, moved))
    alone = replace(part, sync_until=0.0)  # a base whose frames share no ground plays all of it
    whole = replace(alone, motion_type="hybrid", carry=0.0)
    assert torch.equal(made(backbone, alone, moved), made(backbone, whole, moved))


def test_a_camera_films_what_the_motion_makes(backbone, motion):
    shape = (1, 4, 4, *backbone.latent_size)
    line = [[0.3, 0.5], [0.4, 0.5], [0.5, 0.5], [0.6, 0.5]]
    pan = [[-0.1 * n, 0.0, 0.0, 0.0] for n in range(4)]
    known = motion.replace_info(path=line, extent=0.1, camera=[[0.0] * 4] * 4, carry=1.0)
    rest, films = settings(sync_until=0.4, play_until=0.4), settings(sync_until=0.4, play_until=0.4, pan=0.3)
    assert filmed(backbone, rest, known) is known and filmed(backbone, rest, None) is None
    seen = filmed(backbone, films, known)
    assert torch.allclose(seen.camera(), torch.tensor(pan), atol=1e-6)
    assert torch.allclose(seen.path(), torch.tensor([[0.3, 0.5]] * 4), atol=1e-6)
    assert seen.info.looks == backbone.default_looks  # taken out before they would move
    assert not torch.equal(made(backbone, films, known), made(backbone, rest, known))
    assert not torch.equal(
        made(backbone, replace(films, sync_until=0.0), known), made(backbone, films, known)
    )
    # However softly the motion plays, and whichever part: its own camera goes along as far as that does.
    moves = known.replace_info(camera=pan)
    for given, own in ((films, 1), (replace(films, strength=0.5), 0.5), (replace(films, strength=-1.0), 0)):
        assert torch.allclose(
            filmed(backbone, given, moves).camera(), (1 + own) * torch.tensor(pan), atol=1e-6
        )
        assert not torch.equal(first_noise(shape, given, seen), first_noise(shape, rest, None))
        assert shared_ground(shape, given, seen).share == 1
    films = replace(films, looks="background")
    part, whole = (filmed(backbone, replace(films, motion_type=kind), moves) for kind in ("object", "hybrid"))
    assert torch.allclose(part.camera(), torch.tensor(pan), atol=1e-6)
    for name, site in whole.sites.items():  # looks are taken out as its own camera asks for
        assert torch.equal(part.sites[name].v(), site.v())


def test_a_camera_films_without_a_motion(backbone):
    rest, films = settings(sync_until=0.4), settings(sync_until=0.4, zoom=1.5)
    bare = made(backbone, rest)
    assert not torch.equal(made(backbone, films), bare)
    assert torch.equal(made(backbone, films), made(backbone, films))
    assert torch.equal(made(backbone, rest), bare)
    long = made(backbone, replace(films, frames=6))
    assert len(long) == 6
    # A base whose frames share no ground has its noise carried, and none of that without `carry`.
    alone = made(backbone, replace(films, sync_until=0.0, carry=0.0))
    assert torch.allclose(alone, made(backbone, replace(rest, sync_until=0.0)), atol=1e-5)


def test_the_cameras_part_shares_its_ground_to_the_end(backbone, motion):
    shape = (1, 4, 4, *backbone.latent_size)
    pan = [[0.1 * n, 0.0, 0.0, 0.0] for n in range(4)]
    moved = motion.replace_info(path=[[0.3, 0.5]] * 4, extent=0.1, camera=pan)
    whole = settings(sync_until=0.2, play_until=0.6)
    part = replace(whole, motion_type="camera")
    clean = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    shared, open_ = (shared_ground(shape, part, it)(clean) for it in (moved, moved.replace_info(path=None)))
    assert torch.equal(shared, open_)  # what moves is not where the clip's object was
    assert not torch.equal(shared, shared_ground(shape, whole, moved)(clean))
    to_the_end = made(backbone, replace(part, sync_until=1.0), moved)
    assert torch.equal(made(backbone, part, moved), to_the_end)
    assert not torch.equal(made(backbone, replace(part, sync_until=0.0), moved), to_the_end)
