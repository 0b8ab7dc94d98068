"""Find credentials inside text by their own shape: URLs, auth schemes, JWTs, private keys.

Every function reads its text once from left to right; none uses a pattern that goes back over
what it has read, so hostile text of any length takes linear time.
"""

from __future__ import annotations

import re

MASK = "***"

# ASCII only, also without case, so that a check on lowered text sees all that is found here.
_FLAGS = re.ASCII | re.IGNORECASE

_URL_MARK = re.compile(r":\\{0,4}/\\{0,4}/")
# Also a URL without a scheme that has a colon in its first part.
_URL_BEGIN = re.compile(
    rf"""{_URL_MARK.pattern}|(?<![^\s"'=(\[,<])//(?=[^\s/@]{{0,128}}:)""", re.ASCII
)
# A quote before a letter may belong to a password; before anything else it closes the URL.
_URL_END = re.compile(r"""[\s<>]|["'](?!\w)""", re.ASCII)
_AUTHORITY_END = re.compile(rf"{_URL_MARK.pattern}|[/?#\\]")
_QUERY = re.compile(r"[?#]")
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::[0-9]*)?")

SCHEMES = ("bearer", "basic", "token", "digest")
_SCHEME = re.compile(rf"(?<!\w)({'|'.join(SCHEMES)})[ \t]{{1,16}}[\"']?", _FLAGS)
_WORD = re.compile(r"""[^\s"'<>,;]+""", re.ASCII)
# What stands in the header of such a scheme; any other `name=value` behind it is no part of it.
_SECRET_PARAMETER = re.compile(
    r"(?:username|response|c?nonce|opaque|credential|signature|signedheaders|token)=", _FLAGS
)
_DIGEST_PARAMETER = re.compile(r"(?:realm|uri|qop|nc|algorithm|userhash)=", _FLAGS)
_PARAMETER = re.compile(r"""[a-z][a-z_-]{0,31}=[^\s=<>,;]""", re.ASCII)
_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[A-Za-z]")
# What prose has after the word bearer.
_PROSE = frozenset((
    "a", "an", "and", "are", "as", "at", "auth", "authentication", "authorization", "bearer",
    "but", "by", "can", "challenge", "check", "credential", "credentials", "did", "does",
    "error", "expired", "failed", "for", "format", "from", "had", "has", "header", "headers",
    "in", "instead", "invalid", "is", "it", "missing", "must", "no", "not", "of", "on", "or",
    "realm", "refused", "rejected", "required", "schema", "scheme", "schemes", "should", "that",
    "the", "this", "to", "token", "tokens", "type", "used", "was", "were", "will", "with",
    "without",
))  # fmt: skip
CLOSERS = ")]}>\"',.;:\\"

_LINE_STOP = re.compile(r"""[\r\n]|="|["'](?!\w)""", re.ASCII)

_JWT_BODY = re.compile(r"[A-Za-z0-9_.=-]*")
_JWT_HEADER, _JWT_HEADER_IN_A_WORD = 6, 16

_PEM_BEGIN, _PEM_END, _PEM_DASHES = "-----BEGIN", "-----END", "-----"
_PEM_TITLE = 64


def hide_private_keys(text: str) -> str:
    """Replace every PEM private key, to the end of the text when its own end is missing."""
    parts: list[str] = []
    done, at = 0, text.find(_PEM_BEGIN)
    while at >= 0:
        title = at + len(_PEM_BEGIN)
        close = text.find(_PEM_DASHES, title, title + _PEM_TITLE)
        if close < 0 or "PRIVATE KEY" not in text[title:close]:
            at = text.find(_PEM_BEGIN, title)
            continue
        parts += text[done:at], MASK
        last = text.find(_PEM_END, close)
        if last < 0:
            return "".join(parts)
        last += len(_PEM_END)
        dashes = text.find(_PEM_DASHES, last, last + _PEM_TITLE)
        done = last if dashes < 0 else dashes + len(_PEM_DASHES)
        at = text.find(_PEM_BEGIN, done)
    return "".join((*parts, text[done:]))


def hide_userinfo(text: str) -> str:
    """Replace the user and password of every URL, whatever its scheme."""
    parts: list[str] = []
    done = 0
    while mark := _URL_BEGIN.search(text, done):
        closed = _URL_END.search(text, mark.end())
        end = closed.start() if closed else len(text)
        parts += text[done : mark.end()], _hide_in_url(text[mark.end() : end])
        done = end
    return "".join((*parts, text[done:]))


def _hide_in_url(rest: str) -> str:
    """Mask what follows `://` up to the URL's end; further URLs may follow in the same run."""
    last_at = rest.rfind("@")
    parts: list[str] = []
    done = 0
    while done <= last_at:
        stop = _AUTHORITY_END.search(rest, done)
        authority = rest[done : stop.start() if stop else len(rest)]
        if "@" in authority:
            cut = rest.rfind("@", done, _userinfo_limit(rest, done, authority))
        elif all(_HOST.fullmatch(host) for host in authority.split(",")):
            cut = -1
        else:
            # Neither a host nor a port: a password with a slash or the like in it.
            cut = last_at
        if cut >= 0:
            parts.append(MASK)
            done = cut
        mark = _URL_MARK.search(rest, done)
        end = mark.end() if mark else len(rest)
        parts.append(rest[done:end])
        done = end
    return "".join((*parts, rest[done:]))


def _userinfo_limit(rest: str, start: int, authority: str) -> int:
    """Tell where the last `@` may be: an unescaped password goes on behind a slash."""
    end = start + len(authority)
    if ":" not in authority.partition("@")[0]:
        return end
    mark = _URL_MARK.search(rest, end)
    limit = mark.start() if mark else len(rest)
    query = _QUERY.search(rest, end, limit)
    return query.start() if query else limit


def hide_netloc(text: str) -> str:
    """Replace user and password in a part of a split URL, which has lost its scheme."""
    user, at, host = text.rpartition("@")
    return f"{MASK}@{host}" if at and ":" in user else text


def names_scheme(lowered: str) -> bool:
    """Tell whether a text in lower case may hold what `hide_scheme_credentials` replaces."""
    # Four plain searches are quicker than one pattern with four words.
    return "bearer" in lowered or "basic" in lowered or "token" in lowered or "digest" in lowered


def hide_scheme_credentials(text: str) -> str:
    """Replace what follows Bearer, Basic, Token and Digest, unless it reads as prose."""
    parts: list[str] = []
    done = 0
    while found := _SCHEME.search(text, done):
        start = found.end()
        word = _WORD.match(text, start)
        end = start + len(word[0].rstrip(CLOSERS)) if word else start
        if word and _is_header(found[1].lower(), text, start):
            end = end_of_line(text, start)
        elif _PARAMETER.match(text, start) or not _is_credential(found[1].lower(), text[start:end]):
            end = start
        parts += text[done:start], MASK if end > start else ""
        done = end
    return "".join((*parts, text[done:]))


def _is_header(scheme: str, text: str, start: int) -> bool:
    if scheme == "digest" and _DIGEST_PARAMETER.match(text, start):
        return True
    return bool(_SECRET_PARAMETER.match(text, start))


def _is_credential(scheme: str, word: str) -> bool:
    if scheme == "bearer":
        return bool(word) and word.lower() not in _PROSE
    # Basic, token and digest are common words: what follows must look random.
    if scheme == "digest" and word.lower().startswith(("sha256:", "sha512:")):
        return False
    if len(word) >= 24:
        return not word.startswith("/") and "://" not in word
    tail = word[1:]
    mixed = tail != tail.lower() and word != word.upper()
    numbered = len(word) >= 6 and _DIGIT.search(word) and _LETTER.search(word)
    return bool(len(word) >= 4 and (mixed or numbered or "=" in word))


def end_of_line(text: str, start: int) -> int:
    """Return where a header's value ends: at the line's end or the quote around the header."""
    while stop := _LINE_STOP.search(text, start):
        if stop[0] != '="':
            return stop.start()
        start = text.find('"', stop.end()) + 1
        if not start:
            break
    return len(text)


def hide_jwts(text: str) -> str:
    """Replace JSON web tokens: `eyJ`, base64url, a dot, and what goes on from there."""
    parts: list[str] = []
    done, end, dot = 0, 0, -1
    at = text.find("eyJ")
    while at >= 0:
        if at >= end:
            body = _JWT_BODY.match(text, at)
            end = body.end() if body else at
        if dot < at:
            dot = text.find(".", at, end)
        inside_a_word = at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_-")
        header = _JWT_HEADER_IN_A_WORD if inside_a_word else _JWT_HEADER
        if dot - at >= header:
            parts += text[done:at], MASK
            done = end
        at = text.find("eyJ", end if dot < at or done == end else at + 3)
    return "".join((*parts, text[done:]))
