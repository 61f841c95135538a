"""One exchange over HTTP, and what its end means. Sends nothing twice.

Whoever stops waiting closes the connection, which is what makes vLLM stop generating.
"""

from typing import TYPE_CHECKING, Any, Final

from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Failure, Refused
from evolve.llm.wire import error_words, retry_after

if TYPE_CHECKING:
    import aiohttp

__all__ = ["LARGEST", "Transport"]

LARGEST: Final = 8 << 20
"""Bytes of the largest reply that is read to its end."""

_CONNECT: Final = 10.0
_WORDS: Final = 1 << 16
_BUSY: Final = frozenset((408, 425, 429, 503, 529))

# uvicorn, which vLLM runs on, closes a connection that was idle for 5 s; one that is about to be closed is not used.
_KEEP_ALIVE: Final = 4.0


class Transport:
    """Connections to all endpoints. Made inside the loop that uses it.

    Args:
        largest: bytes of the largest reply that is read.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        import aiohttp  # here, for the command line need not pay for it

        self._aiohttp: Any = aiohttp
        self._largest = largest
        self._headers: dict[Endpoint, dict[str, str]] = {}
        # The environment's proxies and .netrc stay out: the one would carry a loopback prompt outside, the other
        # would send a password that nobody named.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def post(self, endpoint: Endpoint, body: bytes, deadline: float) -> bytes:
        """Ask for a chat completion; the body of a reply with status 200.

        Args:
            endpoint: where to.
            body: of the request, JSON.
            deadline: seconds, from connecting to the last byte.

        Raises:
            Refused: the server will never serve this.
            Failure: it may serve it another time, or another server may.
        """
        return await self._ask("POST", endpoint, endpoint.url + "/chat/completions", body, deadline)

    async def get(self, endpoint: Endpoint, url: str, deadline: float = 10.0) -> bytes:
        """The body at `url`, which belongs to `endpoint`. Raises as `post` does."""
        return await self._ask("GET", endpoint, url, None, deadline)

    async def _ask(
        self, method: str, endpoint: Endpoint, url: str, body: bytes | None, deadline: float
    ) -> bytes:
        http = self._aiohttp
        try:
            response = await self._session.request(
                method,
                url,
                data=body,
                headers=self._headers_of(endpoint),
                timeout=http.ClientTimeout(total=deadline, sock_connect=min(_CONNECT, deadline)),
                allow_redirects=False,  # the key would go where somebody else points
            )
            try:
                data = await self._read(response)
            finally:
                response.release()  # which closes the connection if anything is unread
        except http.ConnectionTimeoutError:
            raise Failure("unreachable", "no connection in time") from None
        except TimeoutError:
            raise Failure("late", f"no whole reply within {deadline:g} s") from None
        except (http.ClientConnectorCertificateError, http.ClientSSLError) as error:
            raise Refused(0, endpoint.url, endpoint.scrub(str(error))) from None
        except http.ClientConnectorError as error:
            raise Failure("unreachable", endpoint.scrub(str(error))) from None
        except http.ClientPayloadError as error:
            raise Failure("half", f"the reply broke off: {endpoint.scrub(str(error))}") from None
        except http.ClientResponseError as error:
            raise Failure("malformed", f"no HTTP: {endpoint.scrub(error.message)}") from None
        except (http.ClientError, OSError) as error:
            words = endpoint.scrub(str(error)) or type(error).__name__
            raise Failure("reset", f"the connection broke: {words}") from None
        if response.status == 200:
            return data
        raise _judged(endpoint, response, data)

    async def _read(self, response: "aiohttp.ClientResponse") -> bytes:
        # An error's words may be cut; a reply may not.
        fine = response.status == 200
        most = self._largest if fine else _WORDS
        chunks: list[bytes] = []
        size = 0
        while chunk := await response.content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                if fine:
                    raise Failure("large", f"a reply of more than {most:,} bytes")
                break
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _headers_of(self, endpoint: Endpoint) -> dict[str, str]:
        headers = self._headers.get(endpoint)
        if headers is None:
            # Compressed, a small reply could become a large one; and it would cost CPU here.
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            if endpoint.key:
                headers["Authorization"] = f"Bearer {endpoint.key}"
            self._headers[endpoint] = headers
        return headers


def _judged(endpoint: Endpoint, response: "aiohttp.ClientResponse", data: bytes) -> Failure | Refused:
    words, usage = error_words(data)
    words = endpoint.scrub(words)
    status = response.status
    if status in _BUSY:
        return Failure("busy", f"{status}: {words}", retry_after(response.headers), usage)
    if 300 <= status < 400:
        return Refused(status, endpoint.url, "it redirects; name the URL that it redirects to")
    if 400 <= status < 500:
        return Refused(status, endpoint.url, words)
    return Failure("server", f"{status}: {words}", retry_after(response.headers), usage)
