"""Credentials the emulator knows: the vendors' shapes, and plainly nobody's."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

# Twilio: two letters and 32 hex digits. https://www.twilio.com/docs/glossary/what-is-a-sid
TWILIO_ACCOUNT_SID = "AC" + "0" * 31 + "1"
TWILIO_AUTH_TOKEN = "f" * 32
TWILIO_API_KEY_SID = "SK" + "0" * 31 + "2"  # pragma: allowlist secret
TWILIO_API_KEY_SECRET = "not-a-real-twilio-api-key-secret"
TWILIO_SERVICE_SID = "VA" + "0" * 31 + "3"

# Vonage: an 8-character key, its secret, a UUID. https://developer.vonage.com/en/getting-started
VONAGE_API_KEY = "abcd1234"
VONAGE_API_SECRET = "NotARealSecret16"
VONAGE_APPLICATION_ID = "00000000-0000-4000-8000-000000000004"
VONAGE_SIGNATURE_SECRET = "not-a-real-vonage-signature-secret" + "0" * 30


@cache
def _key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def vonage_private_key() -> str:
    """The application's key, made anew in each process; PKCS8 is all `vonage.Auth` accepts."""
    pem = _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def vonage_public_key() -> str:
    """The half of `vonage_private_key` that the service holds."""
    pem = _key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()
