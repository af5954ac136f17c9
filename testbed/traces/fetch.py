"""Fetching public recordings into the user's cache, verified by checksum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from testbed.errors import EnvironmentLacks, TestbedError, UnknownName
from testbed.traces.published import PUBLISHED, Published


def cache_folder() -> Path:
    """Return where fetched traces lie: `$TESTBED_CACHE`, else the cache folder of the system."""
    named = os.environ.get("TESTBED_CACHE")
    if named:
        return Path(named) / "traces"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "split-testbed" / "traces"


def cached(name: str) -> Path | None:
    """Return the file of a recording that has been fetched, whole and unchanged; else None."""
    entry = PUBLISHED.get(name)
    if entry is None:
        return None
    path = cache_folder() / entry.name
    return path if path.is_file() and _sha256(path) == entry.sha256 else None


def fetch(name: str, *, mirror: str | None = None) -> Path:
    """Return the file of a recording, downloading it if the cache lacks it.

    Args:
        name: A key of `PUBLISHED`.
        mirror: Address of a folder that holds the files by name, instead of their origin.

    Raises:
        UnknownName: There is no such recording.
        TestbedError: The server does not have the file, or what came is not the published file;
            or its address is not known, and then the message says where to look.
        EnvironmentLacks: No network, no room, or pooch is not installed.
    """
    if name not in PUBLISHED:
        raise UnknownName("published trace", name, PUBLISHED)
    entry = PUBLISHED[name]
    target = cache_folder() / entry.name
    if target.is_file():
        if _sha256(target) == entry.sha256:
            return target
        raise TestbedError(
            f"{target}: is not {name} as published (another sha256); remove it and fetch again"
        )
    url = f"{mirror.rstrip('/')}/{quote(entry.name)}" if mirror else entry.url
    if url is None:
        raise TestbedError(
            f"{name} has no address of its own: take it from {entry.page} ({entry.hint}) and put "
            f"it at {target}; `testbed trace fetch {name}` then verifies it"
        )
    return _download(entry, url, target)


def _download(entry: Published, url: str, target: Path) -> Path:
    try:
        import pooch
        import requests
    except ImportError as error:
        raise EnvironmentLacks(
            f"fetching needs {error.name}; install it with the extra: pip install "
            "'split-testbed[traces]'"
        ) from None
    pooch.get_logger().setLevel("ERROR")
    try:
        got = pooch.retrieve(
            url,
            known_hash=f"sha256:{entry.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=_get,
        )
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else "an error"
        raise TestbedError(f"{url}: the server answers {code}; see {entry.page}") from None
    except requests.exceptions.ChunkedEncodingError:
        raise TestbedError(f"{url}: the transfer broke off; nothing was kept") from None
    except requests.RequestException as error:
        reason = type(error).__name__
        raise EnvironmentLacks(
            f"{url}: cannot be reached ({reason}); is there a network?"
        ) from None
    except ValueError as error:
        if "hash" not in str(error):
            raise TestbedError(f"{url}: {error}") from None
        raise TestbedError(
            f"{url}: what came is not {entry.name} as published (another sha256); nothing was kept"
        ) from None
    except OSError as error:
        raise EnvironmentLacks(f"{target.parent}: cannot be written: {error.strerror}") from None
    return Path(got)


def _get(url: str, output_file: str, _pooch: object) -> None:
    """Download `url`; pooch's own downloader leaves the connection open when it breaks off."""
    import requests

    with requests.get(url, stream=True, timeout=30) as response:
        response.raise_for_status()
        with Path(output_file).open("wb") as file:
            for chunk in response.iter_content(1 << 16):
                file.write(chunk)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
