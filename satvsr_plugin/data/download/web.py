"""HTTP from servers that are busy or away for a moment: what is worth asking again, and every refusal in words."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import requests
from requests import exceptions
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from satvsr_plugin import __version__
from satvsr_plugin.errors import DataError

CHUNK = 1 << 16  # bytes; what is lost at most when the connection breaks
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers that mean: not now


class Unavailable(Exception):
    """The server cannot serve at the moment.

    Attributes:
        wait: seconds after which it wants to be asked again, if it said so.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Patience(NamedTuple):
    """How a server is waited for; times in seconds."""

    tries: int = 8  # failures in a row without a new byte, then the run ends
    first_wait: float = 1.0  # after the first failure; doubles from one to the next
    longest_wait: float = 120.0  # also the longest that a server may ask for
    timeout: float = 30.0  # without an answer or a new byte


PATIENCE = Patience()


class Retries:
    """Failures in a row, and the waiting between them."""

    def __init__(self, patience: Patience, name: str) -> None:
        self._patience = patience
        self._name = name
        self._failures = 0

    def wait(self, error: Unavailable, progress: bool = False) -> None:
        """Wait before the next try, longer each time; ``progress`` means that the last one brought something.

        Raises:
            DataError: there were too many failures in a row, or the server asks for too long a pause.
        """
        self._failures = 1 if progress else self._failures + 1
        if self._failures >= self._patience.tries:
            raise DataError(f'{self._name}: {error}; it failed {self._failures} times in a row. Nothing is lost: '
                            'run the same command again to go on') from error
        seconds = min(self._patience.first_wait * 2 ** (self._failures - 1), self._patience.longest_wait)
        seconds = seconds if error.wait is None else error.wait
        if seconds > self._patience.longest_wait:
            raise DataError(f'{self._name}: {error}, and the server asks for a pause of {seconds:.0f} seconds. '
                            'Nothing is lost: run the same command again after that') from error
        tqdm.write(f'{self._name}: {error}; next try in {seconds:.0f} s', file=sys.stderr)
        time.sleep(seconds)


class Web:
    """Requests with one set of connections. Proxies are taken from the environment (``HTTPS_PROXY``, ...)."""

    def __init__(self, patience: Patience = PATIENCE) -> None:
        self.patience = patience
        self._session = requests.Session()
        # Sizes and ranges are those of the file only if nothing compresses it on the way.
        self._session.headers.update({'User-Agent': f'satvsr_plugin/{__version__}', 'Accept-Encoding': 'identity'})

    def open(self, url: str, headers: Mapping[str, str] | None = None, also: tuple[int, ...] = ()) -> requests.Response:
        """Ask for a URL, redirects followed; the body is still to be read with :func:`body`.

        Args:
            url: http or https.
            headers: besides the usual ones.
            also: status codes to be returned besides 200.

        Raises:
            Unavailable: asking again may help.
            DataError: it will not.
        """
        timeout = self.patience.timeout
        try:
            response = self._session.get(url, headers=headers, stream=True, timeout=(timeout, timeout))
        except exceptions.SSLError as error:
            raise DataError(f'{url}: the certificate is not accepted. Behind a proxy with a certificate of its own set '
                            f'REQUESTS_CA_BUNDLE to the file with it ({error})') from error
        except exceptions.Timeout as error:
            raise Unavailable(f'no answer within {timeout:.0f} s') from error
        except exceptions.ProxyError as error:
            raise Unavailable('the proxy set in the environment cannot be reached or refuses') from error
        except exceptions.ConnectionError as error:
            raise Unavailable('cannot connect (is there a network? is a proxy to be set with HTTPS_PROXY?)') from error
        except exceptions.RequestException as error:
            raise DataError(f'{url}: cannot be asked for: {error}') from error
        if response.status_code in (200, *also):
            return response
        response.close()
        raise _refusal(url, response)


def body(response: requests.Response, decode: bool = False) -> Iterator[bytes]:
    """The bytes of a response as they were sent, or, with ``decode``, as they were before the server packed them.

    Raises:
        Unavailable: the connection broke or nothing came for too long.
    """
    try:
        yield from response.raw.stream(CHUNK, decode_content=decode)
    except (HTTPError, OSError) as error:
        raise Unavailable('the connection broke') from error


def _refusal(url: str, response: requests.Response) -> Exception:
    """What an answer other than success means."""
    status = response.status_code
    answer = f'the server answers {status} {response.reason}'
    if status in BUSY:
        return Unavailable(answer, _retry_after(response.headers.get('Retry-After', '')))
    advice = {
        401: 'the record may not be public; open it in a browser',
        403: 'the record may not be public, or a proxy blocks it; a file that a browser gets may be put into the '
             'output folder, and is then verified like any other',
        404: 'correct --record or --url',
        410: 'the record was withdrawn',
    }.get(status, 'correct --url, or open it in a browser to see more')
    return DataError(f'{url}: {answer}; {advice}')


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, which is a number of seconds or a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:  # absent, or not a date
        return None
    date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
