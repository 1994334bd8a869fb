"""The files of a Zenodo record, from its public JSON interface: names, sizes, MD5 sums, addresses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from satvsr_plugin.data.download.web import Retries, Unavailable, Web, body
from satvsr_plugin.data.problems import raise_problems
from satvsr_plugin.errors import DataError

LARGEST_ANSWER = 1 << 24  # bytes; a record takes some thousands
LONGEST_NAME = 200  # bytes; file systems take 255, and names of unfinished work are longer than the file's
TRIES = 4  # nothing is lost yet, so whoever has no network learns it soon


class RemoteFile(NamedTuple):
    """A file of a record."""

    name: str  # a plain file name
    size: int  # bytes
    md5: str  # 32 hexadecimal digits in lower case
    url: str


def list_files(web: Web, base: str, record: str) -> list[RemoteFile]:
    """Ask for the files of a record.

    Args:
        web: asks.
        base: address of the interface, e.g. ``https://zenodo.org/api/records``.
        record: number of the record.

    Raises:
        DataError: there is no such record, the server cannot be reached, or its answer is not a list of files.
    """
    url = f'{base.rstrip("/")}/{record}'
    if not re.fullmatch(r'\d+', record):
        raise DataError(f'record {record}: not the number of a Zenodo record, which is all digits')
    if not _is_web(url):
        raise DataError(f'{url}: not an http or https address; correct --url')
    retries = Retries(web.patience._replace(tries=min(TRIES, web.patience.tries)), url)
    while True:
        try:
            answer = _read_all(web, url)
            break
        except Unavailable as error:
            retries.wait(error)
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        raise DataError(f'{url}: the answer is not JSON; is --url right, or does a login page of the network answer '
                        'instead?') from None
    return parse_record(document, url)


def parse_record(document: Any, url: str) -> list[RemoteFile]:
    """The files in a record's JSON, in any of the forms that Zenodo has used.

    Args:
        document: the decoded JSON.
        url: where it is from; what addresses in it are relative to.

    Raises:
        DataError: it holds no files, or an entry is not one that can be fetched and verified.
    """
    files = document.get('files') if isinstance(document, dict) else None
    entries = files.get('entries') if isinstance(files, dict) else files
    if isinstance(entries, dict):
        entries = list(entries.values())
    if not isinstance(entries, list) or not entries:
        raise DataError(f'{url}: the answer lists no files; is this a Zenodo record, and is it public?')
    found: list[RemoteFile] = []
    problems: list[str] = []
    for number, entry in enumerate(entries, start=1):
        try:
            found.append(_parse_entry(entry, url))
        except ValueError as error:
            problems.append(f'file {number}: {error}')
    names = [file.name for file in found]
    problems += [f'two files are called {name}' for name in sorted(set(names)) if names.count(name) > 1]
    raise_problems(f'{url}: its list of files cannot be used', problems)
    return found


def _read_all(web: Web, url: str) -> bytes:
    answer = bytearray()
    with web.open(url, {'Accept': 'application/json'}) as response:
        for chunk in body(response, decode=True):
            answer += chunk
            if len(answer) > LARGEST_ANSWER:
                raise DataError(f'{url}: the answer is too long for a record; correct --url')
    return bytes(answer)


def _parse_entry(entry: Any, url: str) -> RemoteFile:
    """Raises ``ValueError`` that says what is wrong."""
    if not isinstance(entry, dict):
        raise ValueError('not an object')
    name = _plain_name(_first(entry, 'key', 'filename'))
    size = _first(entry, 'size', 'filesize')
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f'{name}: its size is {size!r}, not a number of bytes')
    checksum = entry.get('checksum')
    match = re.fullmatch(r'(?:md5:)?([0-9a-f]{32})', checksum.strip().lower()) if isinstance(checksum, str) else None
    if not match:
        raise ValueError(f'{name}: its checksum is {checksum!r}, not an MD5 sum')
    links = entry.get('links')
    # "content" and "download" are the bytes; "self" is, in some versions, a description where these are given.
    link = _first(links, 'content', 'download', 'self') if isinstance(links, dict) else None
    link = link if isinstance(link, str) else f'{url}/files/{quote(name)}/content'
    address = urljoin(url, link)
    if not _is_web(address):
        raise ValueError(f'{name}: {link!r} is not an http or https address')
    return RemoteFile(name, size, match.group(1), address)


def _is_web(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ('http', 'https')
    except ValueError:
        return False


def _first(entry: Mapping[str, Any], *keys: str) -> Any:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def _plain_name(name: Any) -> str:
    """A name that stays in the folder it is written to."""
    if not isinstance(name, str) or not name:
        raise ValueError(f'its name is {name!r}')
    if re.search(r'[/\\\x00-\x1f\x7f\ud800-\udfff]', name) or name.startswith('.') or re.match('[A-Za-z]:', name):
        raise ValueError(f'{name!r} is not a plain file name')
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f'{name!r} is too long a file name')
    return name
