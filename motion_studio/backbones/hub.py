"""A model's files: which of them are on this disk, and why they could not be had. Asking needs no network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from motion_studio.errors import InputError

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
INDEX = "model_index.json"
USED = {"unet", "transformer", "vae", "text_encoder", "tokenizer", "scheduler"}
"""The parts of a pipeline that are loaded here."""


def fetched_json(repo: str, name: str) -> dict[str, Any]:
    """A JSON file of a folder or of a Hub repository, fetched if need be; OSError if it cannot be had."""
    path = Path(repo, name) if Path(repo).is_dir() else Path(hf_hub_download(repo, name))
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"{name} in {repo} is no JSON object") from error


def folder(repo: str, revision: str | None, parts: dict[str, str]) -> Path | None:
    """Where a pipeline's files are: those of `repo`, with `parts` from repositories of their own; or None."""
    index = _here(repo, INDEX, revision)
    if index is None:
        return None
    named = json.loads(index.read_text(encoding="utf-8"))
    own = [index.parent / part for part in USED - parts.keys() if named.get(part, [None])[0]]
    whole = all(map(_whole, own)) and all(map(_part_here, parts.values()))
    return index.parent if whole else None


def parts_missing(repo: str, parts: dict[str, str]) -> list[str]:
    """The used parts that a local pipeline's index names and that its folder has not; none of the Hub's."""
    if not Path(repo, INDEX).is_file():
        return []
    named = json.loads(Path(repo, INDEX).read_text(encoding="utf-8"))
    wanted = [part for part in sorted(USED - parts.keys()) if (named.get(part) or [None])[0]]
    return [part for part in wanted if not Path(repo, part).is_dir()]


def on_disk(repo: str, revision: str | None, parts: dict[str, str]) -> bool:
    """Whether all of a pipeline's files are here, as `folder` finds them."""
    return folder(repo, revision, parts) is not None


def repo_and_file(part: str) -> tuple[str, str | None]:
    """The repository of a part and, where `OWNER/NAME/FILE.safetensors` names one, its file."""
    repo, _, name = part.rpartition("/")
    return (repo, name) if name.endswith(".safetensors") else (part, None)


def why_not(name: str, sources: list[tuple[str, str | None]], error: BaseException) -> str:
    """One line on why the base `name` cannot be had from `sources` (repository, revision), and what to do."""
    chain, link = [], error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    ids = list(dict.fromkeys(repo for repo, _ in sources if not Path(repo).is_dir()))
    if any(isinstance(link, GatedRepoError) for link in chain):
        pages = " and ".join(f"https://huggingface.co/{repo}" for repo in ids)
        return f"{name} is open to those who accept its terms: do so at {pages}, then run `hf auth login`."
    if any(isinstance(link, RepositoryNotFoundError) for link in chain):
        return f"{name}: the Hub has no {' or no '.join(ids)} that is open to you; check the name."
    missing = [
        f"`hf download {repo}{f' --revision {revision}' if revision else ''}`"
        for repo, revision in dict.fromkeys(sources)
        if repo in ids and not any(_here(repo, file, revision) for file in (INDEX, "config.json"))
    ]
    if missing:
        return (
            f"{name} is not on this disk and the Hub cannot be reached; with a network: {', '.join(missing)}"
        )
    return f"{name} cannot be loaded: {str(error).strip().splitlines()[0]}"


def _here(repo: str, name: str, revision: str | None = None) -> Path | None:
    if not repo:
        return None
    if Path(repo).is_dir():
        return path if (path := Path(repo, name)).is_file() else None
    found = try_to_load_from_cache(repo, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _part_here(part: str) -> bool:
    repo, name = repo_and_file(part)
    path = _here(repo, name or "config.json")
    return path is not None and (name is not None or _whole(path.parent))


def _whole(folder: Path) -> bool:
    """A part's folder with its weights, every shard of them; tokenizers and schedulers have none."""
    if not (folder / "config.json").is_file():
        return folder.is_dir()
    wanted: set[str] = set()
    for index in folder.glob("*.safetensors.index.json"):
        wanted |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return any(folder.glob("*.safetensors")) and all((folder / name).is_file() for name in wanted)
