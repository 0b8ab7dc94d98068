"""Certificates that tests make for themselves."""

from __future__ import annotations

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_certificates(folder):
    """Write two authorities, and certificates for 127.0.0.1 that the first has signed.

    `authority`, `stranger`, `server` and `client`: each as `.pem`, `.key`, and `-both.pem`.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def write(name, *parts):
        (folder / name).write_bytes(b"".join(parts))

    def make(name, issuer=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            # Python 3.13 asks for what RFC 5280 does.
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    (issuer[1] if issuer else key).public_key()
                ),
                critical=False,
            )
            .add_extension(_usage(signs=issuer is None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
        )
        certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
        text = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write(f"{name}.pem", text)
        write(f"{name}.key", secret)
        write(f"{name}-both.pem", text, secret)
        return certificate, key

    authority = make("authority")
    make("stranger")
    for name in ("server", "client"):
        make(name, authority)


def _usage(signs):
    names = (
        "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, **dict.fromkeys(names, False)
    )


def server_context(folder, asks=False):
    """Return what a server needs; it asks clients for a certificate of the authority, or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "authority.pem")
    return context
