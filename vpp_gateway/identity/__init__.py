"""Who this gateway is towards a utility: private keys, requests for certificates, and the numbers made from them."""

from vpp_gateway.identity.certificate import (
    EXPIRY_DAYS,
    CertificateFacts,
    expiry_step,
    facts,
    fingerprint,
    lfdi,
    read_certificate,
    same_key,
    sfdi,
)
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.identity.keys import (
    IdentityError,
    KeyKind,
    PrivateKey,
    key_pem,
    make_csr,
    make_key,
    read_key,
    subject,
    write_private,
    write_public,
)

__all__ = [
    "EXPIRY_DAYS",
    "CertificateFacts",
    "DevCa",
    "IdentityError",
    "KeyKind",
    "PrivateKey",
    "expiry_step",
    "facts",
    "fingerprint",
    "key_pem",
    "lfdi",
    "make_csr",
    "make_dev_ca",
    "make_key",
    "read_certificate",
    "read_key",
    "same_key",
    "sfdi",
    "subject",
    "write_private",
    "write_public",
]
