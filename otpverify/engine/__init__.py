"""The one sequence of start, resend, check, redeem, cancel and the rest, for sync and async.

It is written as coroutines over ports and awaits only ports: no event loop, no threads,
no sleeps, no locks, no retries. `Verifier` drives it with ports that never suspend
(`_sync.run_sync`), `AsyncVerifier` awaits it over ports that do.
"""
