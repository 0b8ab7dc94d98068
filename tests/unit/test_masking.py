"""Names that are hidden, and credentials inside text."""

import sys
import threading

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loglane.masking import DEFAULT_MASK_FIELDS, MASK, Masker

masker = Masker()
# How long it takes to draw says nothing about the code.
unhurried = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD", "db_password", "userPassword", "X-Auth-Token", "HTTP_AUTHORIZATION",
     "APIKey", "myAPIKey", "api.key", "Set-Cookie", "aws_secret_access_key", "password2", "cvv2",
     "user[password]", "dbpassword", "to\u212aen", "csrf token", "p" * 500 + "_password",
     b"authorization", bytearray(b"x-api-key")],
    ids=str,
)  # fmt: skip
def test_name_of_a_secret_is_hidden(name):
    """Case, separators and what stands before the telling words do not count."""
    assert masker.hides(name)


@pytest.mark.parametrize(
    "name",
    ["token_count", "tokens", "max_tokens", "monkey", "key", "passwordless", "author", "secretary",
     "laptop", "access_key_id", "", "2", "__", 5, None, ("password",), object()],
    ids=str,
)  # fmt: skip
def test_name_of_something_else_is_shown(name):
    """A name that only looks like a telling one, or is no text, hides nothing."""
    assert not masker.hides(name)


def test_every_built_in_name_is_hidden():
    """The list means what it says."""
    assert list(DEFAULT_MASK_FIELDS) == [name for name in DEFAULT_MASK_FIELDS if masker.hides(name)]


def test_given_names_add_to_the_built_in_ones():
    """A short name of the user's is found as a word, not inside one."""
    own = Masker(["key", "X-My-Thing"])
    found = [own.hides(name) for name in ("primaryKey", "monkey", "my_thing", "xmything", "token")]
    assert [True, False, False, True, True] == found


def test_a_name_with_an_exclamation_mark_is_taken_away():
    """`!token` shows `token` and what ends with it, but no other built-in name."""
    own = Masker(["!token", "!"])
    found = [own.hides(name) for name in ("token", "page_token", "access_token", "password")]
    assert [False, False, True, True] == found


def test_a_masker_without_names_hides_no_name():
    """Every built-in name can be taken away, and credentials are still found by their shape."""
    own = Masker(f"!{name}" for name in DEFAULT_MASK_FIELDS)
    assert "password=x a://***@h" == own.text("password=x a://u:p@h")
    assert not own.hides("password")
    assert not own.suspicious(b'{"a":"12:30"}', 1)


def test_a_flood_of_names_does_not_grow_the_memory():
    """Names are remembered up to a limit, long ones never."""
    own = Masker()
    for i in range(20_000):
        assert not own.hides(f"field_{i}x")
    own.hides("x" * 10_000)
    remembered = own._known
    assert len(remembered) <= 4096
    assert max(map(len, remembered)) <= 128


def test_a_str_that_misbehaves_is_read_by_its_real_text():
    """A subclass cannot hide or break by overriding methods."""

    class Broken(str):
        __slots__ = ()

        def _raise(self, *_args):
            raise RuntimeError("no")

        __str__ = __getitem__ = __len__ = lower = casefold = __eq__ = _raise
        __hash__ = _raise

    assert masker.hides(Broken("db_password"))


def test_threads_share_a_masker():
    """Many threads asking for many names get right answers."""
    own, wrong = Masker(), []

    def ask(start):
        for i in range(3000):
            if own.hides(f"n{start}_{i}x") or not own.hides(f"n{start}_{i}_token"):
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


CASES = {
    # URLs
    "postgres://u:p@h/db": "postgres://***@h/db",
    "redis://:pw@h:6379/0": "redis://***@h:6379/0",
    "https://ghp_abc@github.com/a": "https://***@github.com/a",
    "postgres://u:p@ss@h/db": "postgres://***@h/db",
    "postgres://u:p@s/w@h/db": "postgres://***@h/db",
    "postgres://u:p/w#x@h/db": "postgres://***@h/db",
    "amqp://u:p?w@h": "amqp://***@h",
    'amqp://u:p"w@h/v': "amqp://***@h/v",
    "mongodb://u:p@h1:1,h2:2/db?x=y": "mongodb://***@h1:1,h2:2/db?x=y",
    "a://u:p@h,b://u:p@h": "a://***@h,b://***@h",
    'to "pg://u:p@h", mail a@b.c': 'to "pg://***@h", mail a@b.c',
    "x:\\/\\/u:p@h": "x:\\/\\/***@h",
    "a:a:a://@@@": "a:a:a://***@",
    "//u:p@h/x": "//***@h/x",
    "SplitResult(netloc='u:p@s@h', path='/x')": "SplitResult(netloc='***@h', path='/x')",
    '"netloc": "u:p@h"': '"netloc": "***@h"',
    "https://h/?token=abc&x=1": "https://h/?token=***&x=1",
    "/cb?x=1&api_key=abc": "/cb?x=1&api_key=***",
    "/b?X-Amz-Signature=abc&x=1": "/b?X-Amz-Signature=***&x=1",
    # pairs
    "password=hunter2": "password=***",
    "password = hunter2": "password = ***",
    "password:hunter2": "password:***",
    "API key: abc": "API key: ***",
    "password: hunter2 rejected": "password: *** rejected",
    '{"password": "a\\"b", "x": 1}': '{"password": "***", "x": 1}',
    "{'password': 'a b', 'x': 2}": "{'password': '***', 'x': 2}",
    '{"password":12345,"user":"bob"}': '{"password":***,"user":"bob"}',
    '"{\\"password\\":\\"x y\\",\\"a\\":1}"': '"{\\"password\\":\\"***\\",\\"a\\":1}"',
    "User(password='x y', name='b')": "User(password='***', name='b')",
    "User(password=SecretStr('x y'), a=1)": "User(password=SecretStr('***'), a=1)",
    "f(token=b'x y')": "f(token=b'***')",
    "f(token=abc)": "f(token=***)",
    "Password=p,w;Server=h": "Password=***;Server=h",
    'token=["a", "b"] x': "token=*** x",
    "secret={'a': (1, 2)} x": "secret=*** x",
    "secret={'a': 1": "secret=***",
    ':password=>"x" y': ':password=>"***" y',
    "password='it''s' x": "password='***' x",
    'password="""a b""" x': 'password="***" x',
    "password='never closed, a b": "password='***",
    "secret={'a': '}x', 'b': \"]\"} x": "secret=*** x",
    "secret=['a\\'b]', 1] x": "secret=*** x",
    "C(credentials=Creds(id='AK', key='x y'), z=1)": "C(credentials=***, z=1)",
    "password=S(value='x)', b=2) z": "password=*** z",
    "password=S( 'x') z": "password=*** z",
    "password=S('x', 'y z') z": "password=*** z",
    "password=S('x y": "password=***",
    "credentials=<Creds id=5 key=x> z": "credentials=***> z",
    "token=<a b": "token=*** b",
    "cookie=a=b; c=d; e=f": "cookie=***",
    "cookie=ab; user=5": "cookie=***; user=5",
    "cookie: invalid value": "cookie: *** value",
    # names and values as items
    "Headers([('Cookie', 'a b'), ('X', 'y')])": "Headers([('Cookie', '***'), ('X', 'y')])",
    "[(b'cookie', b'a b')]": "[(b'cookie', b'***')]",
    '[("password", "it\'s x")]': '[("password", "***")]',
    "\"[(\\'password\\', \\'x y\\')]\"": "\"[(\\'password\\', \\'***\\')]\"",
    "{('password', 5)}": "{('password', ***)}",
    "[['password', 'x'], ['token', 'y']]": "[['password', '***'], ['token', '***']]",
    "['run', '--password', 'x y']": "['run', '--password', '***']",
    # SQL
    "ALTER USER b PASSWORD 'x y'": "ALTER USER b PASSWORD '***'",
    "identified by 'it''s' x": "identified by '***' x",
    # pydantic
    "password\n  Too short [type=t, input_value='x', input_type=str]":
        "password\n  Too short [type=t, input_value=***, input_type=str]",
    "[input, input_value={'a': 'pas...ret'}, input_type=dict] [x, input_value=5, input_type=int]":
        "[input, input_value=***, input_type=dict] [x, input_value=***, input_type=int]",
    "[{'loc': ('body', 'password'), 'msg': 'x', 'input': 'a b', 'u': 1}]":
        "[{'loc': ('body', 'password'), 'msg': 'x', 'input': '***', 'u': 1}]",
    # schemes
    "Authorization: Bearer abc.def": "Authorization: ***",
    "authorization=Bearer abc x": "authorization=*** x",
    "Cookie: a=b; c=d\nHost: h": "Cookie: ***\nHost: h",
    'curl -H "Authorization: Basic abc" http://x': 'curl -H "Authorization: ***" http://x',
    'Authorization: Digest username="a", response="b c"\nx': "Authorization: ***\nx",
    "sent Bearer abc": "sent Bearer ***",
    "BEARER  x1, then": "BEARER  ***, then",
    "bearer\tabc": "bearer\t***",
    "Basic dXNlcjpwYXNz": "Basic ***",
    "Token abc123": "Token ***",
    'digest username="a", response="b"': "digest ***",
    'Digest realm="a", response="b"': "Digest ***",
    'token token="abc"': 'token ***',
    # no exceptions
    "AccessToken: x": "AccessToken: ***",
    "DbPassword: x": "DbPassword: ***",
    "app.AccessToken: x": "app.AccessToken: ***",
    "X-Api-Key: x": "X-Api-Key: ***",
    "app.errors.InvalidToken=x": "app.errors.InvalidToken=***",
    # JWTs
    "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ x": "jwt *** x",
    "id_eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc": "id_***",
    "eyJames.x.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc": "***",
    # private keys
    "a -----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY----- b": "a *** b",
    "-----BEGIN PRIVATE KEY-----\\nx\\n-----END PRIVATE KEY-----\\n": "***\\n",
    "-----BEGIN OPENSSH PRIVATE KEY-----\ncut off": "***",
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=lambda text: text[:30])
def test_credential_in_text_is_masked(text, expected):
    """Only the credential goes; what is around it stays."""
    assert expected == masker.text(text)


@pytest.mark.parametrize("text", CASES, ids=lambda text: text[:30])
def test_masking_twice_changes_nothing_more(text):
    """What is masked already is left alone."""
    once = masker.text(text)
    assert once == masker.text(once)


@pytest.mark.parametrize("text", CASES, ids=lambda text: text[:30])
def test_a_line_with_a_credential_is_suspicious(text):
    """The quick check sees in the rendered line whatever masking would change."""
    for line in ({"a": text}, {"b": 1, "a": text, "c": None}):
        assert masker.suspicious(orjson.dumps(line), len(line))
        assert masker.suspicious(orjson.dumps(line))


@pytest.mark.parametrize(
    "text",
    ["", "order created", "a=b", "ann@example.com", "2026-01-01T12:30:00Z", "time: 12:30:00",
     "the token is: abc", "token expired", "basic plan", "bearer of bad news", "digest email sent",
     "C:\\Users\\secret\\x", '{"user": "ann", "n": [1, 2]}', "password=None", "password: null,",
     'password=""', "secret=[]", "http://h:8080/x@y", "http://[::1]:80/a@b", "sqlite:///x@y",
     "https://h/?email=a@b.c", "surveyJson.data.items.first.name", "'password'", "password",
     "Enter your password:", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
     "auth=basic user=bob ip=1.2.3.4", "plan basic price=10 qty=3", "bad token kind=access user=5",
     'WWW-Authenticate: Bearer realm="x", error="invalid_token"', "Basic realm='x'",
     "token_type=bearer expires_in=3600", "digest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
     "jose.exceptions.ExpiredToken: Signature has expired", "x.BadCookie: a=b; c=d",
     "failed: app.errors.MissingAuthorization: user 5 may not", "x\nInvalidToken: bad thing",
     "has_password=True requires_token=False", "http://token:8080/x", "//cdn/@a/b:c", "// a: b@c",
     "/run/secrets/token: no such file", "fields ['password', 'token']", "it's 'x', 'y'",
     "('user', 'password')", "['--verbose', 'x']", "netloc='h:80', a@b", "netloc='u@h:'",
     "'loc': ('age',), 'input': 'x'", ", input_value=", ", input_value=x", "password '",
     "-----BEGIN PRIVATE KEY", "Token::new", "secret://x", "otp 5", "max_tokens=5"],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_harmless_text_is_left_alone(text):
    """What holds no credential is written as it is."""
    assert text == masker.text(text)


@pytest.mark.parametrize(
    "fields",
    [{"route": "/api/v1/orders/{id}", "status": 200, "ok": True, "ms": 1.5, "none": None},
     {"at": "12:30:00", "when": "2026-01-01T00:00:00+00:00", "peer": "10.0.0.1:8080"},
     {"message": "order created for user", "id": "8f14e45f-ceea-167a-5a36-dedd4bea2543"},
     {"url": "https://example.com/a/b", "name": "Jörg Müller"}, {"mail": "ann@example.org"}],
    ids=["words", "times", "sentence", "url", "mail"],
)  # fmt: skip
def test_usual_fields_are_not_suspicious(fields):
    """The quick check seldom sends a harmless line the long way."""
    assert not masker.suspicious(orjson.dumps(fields), len(fields))


_PIECES = st.sampled_from(
    ["password", "token", "ΚΩΔΙΚΟΣ", "ς", ":", "=", ">", "://", "@", " ", "\t", "'", '"', "\\",
     "eyJ", "a" * 20, ".", "bearer", "BASIC", "Digest", "\u212a", "\u017f", "-----BEGIN",
     " PRIVATE KEY", "-----", "/", "x1", "\n", "7", "12", "]", "}", "{", "[", "(", ")", ",", ";",
     "&", "é", "\xa0", "('", "', ", "--", "netloc", "//", "\u017f", "password '", "'loc': ('",
     "'input': ", ", input_value=", ", input_type=", "identified by ",
     "\u2028", "STRASSE", "ß", "none", "***"]
)  # fmt: skip
_TEXTS = st.one_of(st.lists(_PIECES, max_size=8).map("".join), st.text(max_size=40))
_foreign = Masker(["ΚΩΔΙΚΟΣ", "straße", "k"])


@unhurried
@given(st.dictionaries(st.sampled_from("abcd"), _TEXTS, max_size=4))
def test_a_line_that_is_not_suspicious_needs_no_masking(fields):
    """The quick check has no hole, whatever JSON escapes and whatever case does to a letter."""
    for own in (masker, _foreign):
        line = orjson.dumps(fields)
        if not own.suspicious(line, len(fields)) or not own.suspicious(line):
            assert fields == {name: own.text(text) for name, text in fields.items()}


_KEYS = st.sampled_from(["password", "userPassword", "X-API-Key", "db_token", "client secret"])
_SECRETS = st.text("abcXYZ019-_.!$%^*+/~", min_size=1).map(lambda text: f"Zq7{text}X9")


@unhurried
@given(_KEYS, st.sampled_from(["{}={}", "{}: {}", '"{}": "{}"', "'{}':'{}'", "{} = '{}'"]),
       _SECRETS, _TEXTS)  # fmt: skip
def test_the_value_of_a_hidden_key_never_stays(key, form, secret, after):
    """A secret of usual characters is found behind its key, whatever follows."""
    assert "Zq7" not in masker.text(f"see {form.format(key, secret)} {after}")


@unhurried
@given(_SECRETS, _TEXTS)
def test_a_password_in_a_url_never_stays(secret, before):
    """A password in a URL is found, whatever stands before."""
    assert "Zq7" not in masker.text(f"{before} postgres://ann:{secret}@host:5432/db")


_SIZE = 2_000_000


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    ["a:a:a://@@@", "a://b:c/", "u:p@x://", "-----BEGIN", "-----BEGIN PRIVATE KEY-----", "bearer ",
     "=", "= ", "d:", "password: ", "password='", "token=[", "token=[]", "eyJ", "eyJ.x", "\\",
     "token=,", 'cookie: ="', "password=&a ", " ", "token=['", "token=[\"'\\", "token=[\\'] ",
     "token=a(", "token=a('", "token=<a", "cookie=a=b;", "('token', ", "('token', [", "', ", "//",
     "//a:", "netloc=", "netloc='a:b", "'loc': ('token'", "'loc': ('token'),'input': [",
     ", input_value=", "password '", "password 'a' ", "a.B", "/a"],
)  # fmt: skip
def test_hostile_text_takes_linear_time(unit):
    """Two million characters of what patterns stumble over are masked before the test times out."""
    text = "a://u:" + unit * (_SIZE // len(unit))
    assert len(masker.text(text)) <= len(text) * 2


def test_masking_needs_no_stack():
    """Deep nesting inside a text does not recurse."""
    deep = "token=" + "[" * (sys.getrecursionlimit() * 10)
    assert f"token={MASK}" == masker.text(deep)
