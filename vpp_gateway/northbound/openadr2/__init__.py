"""OpenADR 2.0b: our own virtual end node (VEN).

    client (sockets, TLS)  <->  codec (wire + signature)  <->  session (pure)  <->  mapping (program profile)

Read `session` for the life of a registration, `judge` for what happens to each event, `reports` for telemetry.
"""
