"""The one sequence of start, resend, check and cancel, for both colours.

It is written as coroutines over ports and awaits nothing but ports: no event loop, no threads,
no sleeps, no locks, no retries. `Verifier` drives it with ports that never suspend (`colour.
run_sync`), `AsyncVerifier` awaits it over ports that do.
"""
