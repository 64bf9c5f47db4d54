"""A model's files: which of them are on this disk, and why they could not be had. Asking needs no network."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of whichever HTTP library it stands on
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import logging as hub_logging
from tqdm import tqdm

from motion_studio.errors import InputError

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
INDEX = "model_index.json"
USED = {"unet", "transformer", "vae", "text_encoder", "tokenizer", "scheduler"}
"""The parts of a pipeline that are loaded here."""
HALF = "fp16"
"""What diffusers calls a second copy of weights, in half precision; loaded where there is no first."""
WEIGHTS = re.compile(rf"(?:diffusion_pytorch_)?model(\.{HALF})?(?:-\d+-of-\d+)?\.safetensors")
STRANGER = "what answers is not the Hub, perhaps a page to log in or a proxy; see a browser, then try again"
REFUSALS = (OSError, HTTPError, HFValidationError)
"""What is raised where files cannot be had; `why_not` says it in words."""
ANSWERS = {
    401: "your token is not accepted; `hf auth login` takes another, `hf auth logout` goes without",
    403: "you may not have it; ask its owner, and check what your token may read",
    404: "there is no such file; check the name",
    429: "too much was asked for from here; wait some minutes, then try again",
}
"""What to do, by the status of an answer."""


def fetched_json(repo: str, name: str) -> dict[str, Any]:
    """A JSON file of a folder or of a Hub repository, fetched if need be; OSError if it cannot be had."""
    path = _here(repo, name)
    if path is None and Path(repo).is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such file", str(Path(repo, name)))
    if path is None:
        hub_logging.set_verbosity_error()  # what goes wrong is told in one line, by `why_not`
        path = Path(hf_hub_download(repo, name, tqdm_class=_Silent))
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"{name} in {repo} is no JSON object") from error


class _Silent(tqdm):
    """A progress bar that is not shown: these files are small."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "disable": True})


def folder(repo: str, revision: str | None, parts: dict[str, str]) -> Path | None:
    """Where a pipeline's files are: those of `repo`, with `parts` from repositories of their own; or None."""
    index = _here(repo, INDEX, revision)
    return None if index is None or lacks(repo, revision, parts) else index.parent


def lacks(repo: str, revision: str | None, parts: dict[str, str]) -> list[str]:
    """What of a pipeline cannot be loaded from this disk: parts of `repo`, and repositories of `parts`."""
    index = _here(repo, INDEX, revision)
    if index is None:
        return [INDEX, *parts.values()]
    named = json.loads(index.read_text(encoding="utf-8"))
    own = [part for part in sorted(USED - parts.keys()) if (named.get(part) or [None])[0]]
    absent = [part for part in own if not _whole(index.parent / part)]
    return absent + [part for part in parts.values() if place(part) is None]


def on_disk(repo: str, revision: str | None, parts: dict[str, str]) -> bool:
    """Whether all of a pipeline's files are here, as `folder` finds them."""
    return folder(repo, revision, parts) is not None


def place(part: str) -> str | None:
    """The folder of a part from a repository of its own, or its file where it names one; None if not here."""
    repo, name = repo_and_file(part)
    path = _here(repo, name or "config.json")
    if path is None or name is not None:
        return path and path.as_posix()
    return path.parent.as_posix() if _whole(path.parent) else None


def repo_and_file(part: str) -> tuple[str, str | None]:
    """The repository of a part and, where `OWNER/NAME/FILE.safetensors` names one, its file."""
    repo, _, name = part.rpartition("/")
    return (repo, name) if name.endswith(".safetensors") else (part, None)


def weights(names: Iterable[str]) -> list[str]:
    """Which of a part's files are its weights: the plain ones, or if there are none, in half precision."""
    found = [match for name in names if (match := WEIGHTS.fullmatch(name))]
    plain = [match[0] for match in found if match[1] is None]
    return plain or [match[0] for match in found]


def variant(source: str) -> str | None:
    """The `variant` by which diffusers finds the weights in a folder; None, the plain ones, elsewhere.

    One counts for a whole pipeline: if a part has nothing else, others that have both are read from it, too.
    """
    folders = [Path(source), *(Path(source, part) for part in USED)]
    return HALF if any(_half(weights(_names(folder))) for folder in folders) else None


def why_not(name: str, sources: list[tuple[str, str | None]], error: BaseException) -> str:
    """One line on why the base `name` cannot be had from `sources` (repository, revision), and what to do."""
    away = [source for source in dict.fromkeys(sources) if not Path(source[0]).is_dir()]
    for link in _chain(error):
        if line := _answered(away, link):
            return f"{name}: {line}"
        if isinstance(link, HTTPError | ConnectionError | TimeoutError):
            return _unreached(name, away, link)
    return f"{name} cannot be loaded: {_first_line(error)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _answered(away: list[tuple[str, str | None]], error: BaseException) -> str:
    """What to say of an error that a disk or an answer made, but nothing of one without an answer."""
    ids = list(dict.fromkeys(repo for repo, _ in away))
    if isinstance(error, GatedRepoError):
        pages = " and ".join(f"https://huggingface.co/{repo}" for repo in ids)
        return f"it is open to those who accept its terms: do so at {pages}, then run `hf auth login`."
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub has no {' or no '.join(ids)} that is open to you; check the name."
    if isinstance(error, RevisionNotFoundError):
        asked = _asked(error)
        wanted = [revision or "main" for repo, revision in away if asked.endswith(repo)]
        return f"the Hub has no revision {' or '.join(wanted)} of {asked}."
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        wait = error.response.headers.get("Retry-After")
        advice = ANSWERS.get(status) or (
            "it has trouble of its own, try again later" if status >= 500 else ""
        )
        advice = advice or _first_line(error)
        wait = f" (it asks to wait for {wait} s)" if wait else ""
        return f"asked for {_asked(error)}, the Hub answered {status}{wait}: {advice}."
    if isinstance(error, FileMetadataError):
        return f"{STRANGER}."
    if isinstance(error, HFValidationError):
        return f"the Hub has no such names: {_first_line(error)}"
    cache = constants.HF_HUB_CACHE
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            f"no space is left in {cache}: make room, or let HF_HOME name a folder elsewhere, and try again."
        )
    if isinstance(error, OSError) and str(error.filename or "").startswith(cache):
        return f"{error.filename} cannot be used ({error.strerror}); HF_HOME may name another folder."
    return ""


def _asked(error: HfHubHTTPError) -> str:
    """The repository, or file and repository, that a request was for, wherever it was led on to."""
    first = error.response.history[0] if error.response.history else error.response
    repo, _, file = first.request.url.path.strip("/").partition("/resolve/")
    repo = repo.removeprefix("api/models/").partition("/revision/")[0]
    return f"{file.partition('/')[2]} of {repo}" if file else repo


def _unreached(name: str, away: list[tuple[str, str | None]], error: BaseException) -> str:
    missing = [
        (repo, revision)
        for repo, revision in away
        if not any(_here(repo, file, revision) for file in (INDEX, "config.json"))
    ]
    if not missing:
        return f"{name}: the Hub cannot be reached ({_first_line(error)})."
    what = " and ".join(dict.fromkeys(repo for repo, _ in missing))
    what = name if what == name else f"{what} for {name}"
    orders = [f"`hf download {repo}{f' --revision {rev}' if rev else ''}`" for repo, rev in missing]
    return f"{what} is not on this disk and the Hub cannot be reached; with a network: {', '.join(orders)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _here(repo: str, name: str, revision: str | None = None) -> Path | None:
    if not repo:
        return None
    if Path(repo).is_dir():
        return path if (path := Path(repo, name)).is_file() else None
    found = try_to_load_from_cache(repo, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _half(found: list[str]) -> bool:
    """Whether these `weights` are in half precision."""
    return any(f".{HALF}" in name for name in found)


def _whole(folder: Path) -> bool:
    """A part's folder with its weights, every shard of them; tokenizers and schedulers have none."""
    if not (folder / "config.json").is_file():
        return folder.is_dir()
    wanted: set[str] = set()
    found = weights(_names(folder))
    for index in folder.glob(f"*.safetensors.index{f'.{HALF}' if _half(found) else ''}.json"):
        wanted |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return bool(found) and all((folder / name).is_file() for name in wanted)
