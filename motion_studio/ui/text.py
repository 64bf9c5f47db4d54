"""Every word on the page."""

from __future__ import annotations

TITLE = "Motion Studio"
TAGLINE = "Record the motion of a clip. Play it on any prompt. Mix motions like audio tracks."
BASE = {
    "loading": "{base} is loading…",
    "ready": "{base} is ready",
    "failed": "{base} could not be loaded: {error}",
    "absent": "{base} is fetched with the first video, about {gigabytes:.0f} GB",
}
BASE_LEVERS = " · {levers}"

PLAYER = {
    "play": "Play",
    "pause": "Pause",
    "scrub": "Where in the clip",
    "slow": "Full or half speed",
}
TRIM = {"start": "Start", "end": "End"}
STAGE = {
    "label": "Where the object goes: each track in its colour, the mix in ink",
    "empty": "Choose a motion below. Its way is drawn here.",
}
TIMELINE = {
    "weight": "Weight",
    "remove": "Take this track out",
    "start": "Where it begins",
    "end": "Where it ends",
    "fade_in": "Fade in",
    "fade_out": "Fade out",
    "empty": "No tracks yet. Choose a motion below to lay it on a track.",
}

WORK = {
    "queued": "Waiting for its turn…",
    "waiting": "Waiting for “{title}” to end…",
    "running": "Starting…",
    "done": "Done in {seconds}.",
    "failed": "That did not work: {error}",
    "cancelled": "Cancelled.",
    "interrupted": "The studio was closed before this ended.",
    "left": "about {seconds} left",
}

INVERT = {
    "tab": "Invert",
    "lead": "Learn the motion of a clip.",
    "file": "Your clip: mp4, mov, webm or gif, up to a minute",
    "no_clip": "This clip is no longer there.",
    "no_clips": "No clips came with this copy. Drop one of yours above.",
    "fit": "Shape of the picture",
    "fits": [("Fill the frame", "crop"), ("Show it all", "letterbox")],
    "prompt": "What it shows",
    "prompt_info": "A few plain words. They hold the looks, so that the motion need not.",
    "preset": "How to learn",
    "presets": {
        "faithful": "Faithful: the motion as it is",
        "pure": "Pure: leaves the source's pattern behind",
        "quick": "Quick: a first try in seconds",
    },
    "measured": "Measured on {pairs} clips the built-in model never saw",
    "measured_columns": ["Object's path", "Camera", "Pattern leaking", "Time"],
    "more": "More settings",
    "steps": "Steps",
    "rank": "Rank",
    "rank_info": "How many pictures the motion is made of",
    "learning_rate": "Learning rate",
    "seed": "Seed",
    "loss": "Loss",
    "losses": [("Plain", "plain"), ("Debiased from looks", "debiased"), ("Changes only", "changes")],
    "shuffle_looks": "Shuffle the colours at each step",
    "learn": "Learn this motion",
    "cancel": "Discard",
    "keep": "Stop and keep",
    "reference": "Your clip",
    "sample": "The same seed, with what is learnt so far",
    "sample_hint": "A sample appears here and changes while the motion is learnt.",
    "reference_hint": "Drop a clip, or take one of those below it.",
    "curve": "Loss",
    "name": "Name",
    "notes": "Notes",
    "notes_placeholder": "What is it good for?",
    "save": "Save to the library",
    "play": "Play it on a prompt",
    "saved": "“{title}” is in your library.",
    "need_clip": "Please choose a clip first.",
    "need_motion": "There is no motion to save yet.",
    "need_name": "Please give the motion a name.",
}

GENERATE = {
    "tab": "Generate",
    "lead": "Play a motion on any prompt.",
    "prompt": "Prompt",
    "motion": "Motion",
    "no_motion": "No motion",
    "no_motion_note": "What the base model does on its own",
    "empty": "Your library is empty. Learn a motion on the first tab.",
    "strength": "Strength",
    "strength_info": "On by about 0.3. Below 0 it reverses only in part; the mixer has a true reverse.",
    "seed": "Seed",
    "dice": "Another seed",
    "more": "More settings",
    "motion_type": "Part of the motion",
    "motion_types": [("All of it", "hybrid"), ("The object", "object"), ("The camera", "camera")],
    "looks": "The source's looks",
    "looks_choices": [
        ("As suits the base", "auto"),
        ("Take out the mean", "centre"),
        ("Take differences", "difference"),
        ("Leave them in", "raw"),
    ],
    "steps": "Steps",
    "guidance": "Guidance",
    "negative": "Not this",
    "noise_prior": "Noise prior",
    "noise_prior_info": "Share of the reference's own noise at the start. Needs a motion with its clip.",
    "generate": "Generate",
    "cancel": "Cancel",
    "reference": "Reference",
    "result": "Result",
    "no_reference": "This motion has no clip beside it.",
    "result_hint": "Choose a motion and press Generate.",
    "download": "Download the video",
    "restore": "Drop a video made here: its settings come back",
    "recent": "Recent renders",
    "recent_gone": "This render is no longer there.",
    "no_recent": "What you make is kept here.",
    "about": "About this motion",
    "delete": "Delete this motion",
    "undelete": "Bring it back",
    "deleted": "“{title}” is in the trash.",
    "file": "The motion as a file",
    "restored": "The settings of this render are back.",
    "no_recipe": "This video carries no recipe, so it was not made here.",
    "motion_missing": "The settings are back, but not in the library: {names}.",
    "need_prompt": "Please say what the video should show.",
}

ABOUT = {
    "base": "for {base}",
    "made": "made by {operation}",
    "prompt": "learnt from “{prompt}”",
    "starter": "comes with the studio",
    "locality": "Where its base looks at neighbouring frames: 1 only there, 0 evenly at all",
}

CARRIED = {
    "path_correlation": "likeness of the object's path",
    "path_size_ratio": "of its size",
    "camera_correlation": "likeness of the camera's move",
}

MIX = {
    "tab": "Mix",
    "lead": "Lay motions on tracks, bend them and mix them.",
    "add": "Add a motion",
    "tracks": "Tracks",
    "undo": "Undo",
    "clear": "Clear",
    "speed": "Speed",
    "reverse": "Reverse",
    "mirror_x": "Mirror ↔",
    "mirror_y": "Mirror ↕",
    "turn": "Turn",
    "zoom": "Zoom",
    "amplitude": "Amplitude",
    "x": "Across",
    "y": "Down",
    "prompt": "Prompt",
    "seed": "Seed",
    "quick": "Preview as I let go",
    "render": "Render",
    "cancel": "Cancel",
    "result": "Preview",
    "rendered": "Render",
    "result_hint": "Lay a motion on a track. A quick preview appears here.",
    "save_as": "Save as a new motion",
    "name": "Name",
    "notes": "Notes",
    "save": "Save",
    "saved": "“{title}” is in your library.",
    "need_tracks": "Lay a motion on a track first.",
    "need_name": "Please give the mix a name.",
    "download": "Download the video",
    "undone": "There is nothing to undo.",
}
