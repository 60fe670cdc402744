"""The TLS of a VEN: 1.2 or newer, both sides with certificates, the cipher list as the program profile says."""

from __future__ import annotations

import ssl

from vpp_gateway.errors import ConfigError


def tls_context(
    *, ca_file: str, cert_file: str, key_file: str, ciphers: str | None, check_hostname: bool
) -> ssl.SSLContext:
    """A client context: TLS 1.2 or newer, our certificate, the server checked against `ca_file`.

    Raises:
        ConfigError: A file cannot be read, key and certificate do not fit, or the cipher list is empty.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = check_hostname
        context.load_cert_chain(cert_file, key_file)
        if ciphers is not None:
            context.set_ciphers(ciphers)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"TLS: CA {ca_file}, certificate {cert_file}, key {key_file}, ciphers {ciphers}: {error}"
        ) from None
    return context
