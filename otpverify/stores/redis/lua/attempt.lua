-- Write the challenge with its count of attempts, and the nonce of the last.
local NONCES = 32 -- of the last attempts
local known = sub(raw, nonces < NONCES and 7 or 13, codes_at - 1) .. nonce
raw = pack_bytes('>c1I4B', kind, attempts, #known / 6) .. known .. sub(raw, codes_at)
call('PSETEX', KEYS[2], expires - now, raw)
