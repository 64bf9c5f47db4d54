"""Every command and flag of the command line; what they do is in the modules named after them."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from motion_studio.cli.actions import Operation, Words, numbers, points
from motion_studio.errors import InputError

DEFAULT_BASE = "toybox"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, raised as InputError."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message} (see --help)")


def joined(argv: Sequence[str]) -> list[str]:
    """Join `--move -0.1,0` into `--move=-0.1,0`: argparse takes such a value for a flag otherwise."""
    result: list[str] = []
    for argument in argv:
        if result and re.fullmatch(r"--[a-z-]+", result[-1]) and re.match(r"-[\d.]", argument):
            result[-1] += f"={argument}"
        else:
            result.append(argument)
    return result


def build_parser() -> Parser:
    """The whole command line; `arguments.run(arguments)` does the command."""
    parser = Parser(
        prog="motion_studio", description="Record the motion of a clip, play it on any prompt, mix motions."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, text: str, module: str = "", function: str = "") -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--json", action="store_true", help="print one JSON object")
        sub.add_argument("--quiet", action="store_true", help="neither a bar nor what saves memory")
        sub.set_defaults(run=_runner(module or name, function or name))
        return sub

    _add_invert(command("invert", "Learn the motion of a clip."))
    _add_generate(command("generate", "Make a video from a prompt, with motions or without."))
    _add_mix(command("mix", "Add motions up, each with its weight.", "mixing"))
    _add_edit(command("edit", "Change a motion; operations act in the order given.", "mixing"))
    measure = command("measure", "Compare the motion of two clips.", "looking")
    measure.add_argument("reference", metavar="REFERENCE", help="clip with the motion that is wanted")
    measure.add_argument("result", metavar="RESULT", help="clip to measure against it")
    inspect = command("inspect", "Say what a motion file holds.", "looking")
    inspect.add_argument("motion", metavar="M.safetensors", help="motion file, or a name in the library")
    _add_data(inspect)
    _add_import(
        command("import", "Make a motion_embed.pt of Motion Inversion a motion.", "importing", "import_")
    )
    command("bases", "List the base models.", "looking")
    _add_data(command("motions", "List the motions of the library.", "looking"))
    _add_demo(command("demo", "Do the main job on a clip that ships with the studio."))
    _add_serve(command("serve", "Open the studio in a browser."))
    return parser


def _runner(module: str, name: str) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        # Imported when run, so that --help and bad flags answer at once.
        getattr(importlib.import_module(f"motion_studio.cli.{module}"), name)(arguments)

    return run


def _add_base(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base",
        default=DEFAULT_BASE,
        help="base model: a name that `bases` lists, a diffusers folder or a Hub id; NAME@WIDTHxHEIGHT or "
        "NAME@WIDTHxHEIGHTxFRAMES at another size than its own (%(default)s)",
    )
    parser.add_argument("--device", help="cpu, cuda or mps (the best there is)")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="data folder (MOTION_STUDIO_DATA or ~/.motion-studio)")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, metavar="N", help="number of steps")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", help="any other setting"
    )


def _add_part(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="take the clip from this second"
    )
    parser.add_argument("--end", type=float, metavar="S", help="take the clip to this second")
    parser.add_argument("--fit", choices=["crop", "letterbox"], default="crop", help="how it fills the frame")


def _add_invert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clip", metavar="CLIP", help="mp4, mov, webm, gif or a folder of pictures")
    parser.add_argument("--prompt", default="", help="what the clip shows")
    _add_base(parser)
    parser.add_argument(
        "--preset", metavar="NAME", default="faithful", help="faithful, pure or quick (%(default)s)"
    )
    _add_settings(parser)
    _add_part(parser)
    parser.add_argument("--title", default="", help="title of the motion (the file's name)")
    parser.add_argument("--notes", default="", help="notes kept in the motion")
    parser.add_argument("--out", required=True, metavar="M.safetensors", help="motion to write")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompt", help="what the video shows")
    parser.add_argument(
        "--motion", action="append", default=[], dest="motions", metavar="M.safetensors[:WEIGHT]",
        help="motion file or library name; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--words", action=Words, metavar="TEXT",
        help="what the motion before it moves, in words of its own: an object beside that of the prompt",
    )  # fmt: skip
    _add_together(parser)
    _add_base(parser)
    parser.add_argument("--negative", metavar="TEXT", help="what guidance moves away from")
    parser.add_argument("--guidance", type=float, metavar="X", help="scale of classifier-free guidance")
    parser.add_argument("--strength", type=float, metavar="X", help="factor on the whole motion")
    parser.add_argument(
        "--guide-until", type=float, metavar="SHARE", help="share of the steps that guide to the motion too"
    )
    parser.add_argument(
        "--play-until", type=float, metavar="SHARE", help="share of the steps in which the motion plays"
    )
    parser.add_argument(
        "--sync-until",
        type=float,
        metavar="SHARE",
        help="share of the steps in which the frames show one ground, moved as the motion's camera moves",
    )
    parser.add_argument(
        "--carry",
        type=float,
        metavar="X",
        help="factor on the share of the noise that goes along with the motion's camera and object",
    )
    films = {
        "--pan": "a camera films it that goes so far to the right, in fractions of the width",
        "--tilt": "so far up",
        "--zoom": "and enlarges the picture by so much",
        "--roll": "and turns it by so many degrees clockwise, at the end",
    }
    for flag, text in films.items():
        parser.add_argument(flag, type=float, metavar="X", help=text)
    parser.add_argument("--frames", type=int, metavar="N", help="number of frames")
    parser.add_argument("--motion-type", choices=["camera", "object", "hybrid"])
    parser.add_argument(
        "--noise-prior", type=float, metavar="P", help="share of the reference's own noise, 0 to 1"
    )
    parser.add_argument(
        "--reference", metavar="CLIP", help="clip of the noise prior (the one beside the motion)"
    )
    parser.add_argument(
        "--vary", metavar="NAME=A,B,C",
        help="a video for each value of a setting (prompts with | between them), V-1.mp4 and so on; "
        "V.mp4 and V.png show all side by side",
    )  # fmt: skip
    _add_settings(parser)
    parser.add_argument("--recipe", metavar="V.mp4", help="make this video again from the recipe it carries")
    _add_data(parser)
    parser.add_argument("--out", required=True, metavar="V.mp4", help="video to write")


def _add_mix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "motions", nargs="+", metavar="M.safetensors[:WEIGHT]", help="motions and signed weights"
    )
    _add_together(parser)
    _add_data(parser)
    _add_written(parser)


def _add_together(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--together", choices=["mean", "sum"],
        help="several motions move one object: each is moved to the weighted mean of their paths, or to "
        "where the sum of their steps leads",
    )  # fmt: skip


def _add_written(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--compact", type=int, metavar="RANK", help="write with at most this rank")
    parser.add_argument("--title", default="", help="title of the motion (the file's name)")
    parser.add_argument("--out", required=True, metavar="C.safetensors", help="motion to write")


def _add_edit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("motion", metavar="A.safetensors", help="motion file, or a name in the library")
    parser.set_defaults(operations=None)

    def operation(flag: str, text: str, metavar: str | None = None, parse: Callable | None = None) -> None:
        taken = {"metavar": metavar, "parse": parse} if metavar else {"nargs": 0}
        parser.add_argument(flag, action=Operation, dest="operations", default=None, help=text, **taken)

    def one(name: str) -> Callable[[str], dict[str, Any]]:
        return numbers(name)

    operation("--reverse", "run backwards")
    operation("--speed", "times as fast; 0 holds, negative runs back", "X", one("factor"))
    operation("--delay", "start F frames later", "F", one("frames"))
    operation("--ease", "in, out or in-out", "KIND", lambda text: {"kind": text})
    operation("--loop", "run so many times in the same length", "TIMES", one("times"))
    operation("--trim", "keep LENGTH frames from START", "START,LENGTH", numbers("start", "length"))
    operation("--fade", "rise over IN and fall over OUT frames", "IN,OUT", numbers("in_frames", "out_frames"))
    operation("--strength", "times as strong", "X", one("value"))
    operation("--mirror", "swap left and right (x) or up and down (y)", "AXIS", lambda text: {"axis": text})
    operation("--turn", "turn the path clockwise", "DEGREES", one("degrees"))
    operation("--move", "move by fractions of the width, y down", "X,Y", numbers("x", "y"))
    operation(
        "--along", "go along the path of another motion", "B.safetensors", lambda text: {"motion": text}
    )
    operation(
        "--follow", "go another way: points in order, or the path of another motion",
        '"X,Y X,Y …"|B.safetensors', points,
    )  # fmt: skip
    operation("--zoom", "larger by this factor", "X", one("factor"))
    operation("--mask", "keep one region, in fractions", "X0,Y0,X1,Y1", numbers("x0", "y0", "x1", "y1"))
    operation("--amplitude", "times as large a path", "X", one("factor"))
    operation(
        "--film", "seen by a camera that goes right and up, enlarges and turns",
        "PAN,TILT,ZOOM,ROLL", numbers("pan", "tilt", "zoom", "roll"),
    )  # fmt: skip
    _add_data(parser)
    _add_written(parser)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the motion_embed.pt; nothing in it is run")
    parser.add_argument("--base", default="zeroscope", help="base model it was learnt on (%(default)s)")
    parser.add_argument("--frames", type=int, metavar="N", help="rows that were learnt (the base's frames)")
    parser.add_argument("--rank", type=int, default=4, metavar="R", help="pictures a site (%(default)s)")
    parser.add_argument("--title", default="", help="title of the motion (the file's name)")
    parser.add_argument("--out", required=True, metavar="M.safetensors", help="motion to write")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clip", metavar="CLIP", help="another clip (the first that ships)")
    parser.add_argument("--clip-prompt", metavar="TEXT", help="what the clip shows")
    parser.add_argument("--prompt", help="what the new video shows")
    _add_base(parser)
    parser.add_argument(
        "--preset", metavar="NAME", default="faithful", help="faithful, pure or quick (%(default)s)"
    )
    _add_settings(parser)
    parser.add_argument("--out", default="demo", metavar="DIR", help="folder for what it makes (%(default)s)")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen at (%(default)s)")
    _add_data(parser)
    _add_base(parser)
