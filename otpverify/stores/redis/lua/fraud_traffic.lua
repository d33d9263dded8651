-- What is sent, entered and refused in a country, as core/traffic.py defines it; after fraud_ledger.
--
-- KEYS   see fraud_ledger: the tally lies with the country's accounts; the past is read once an hour
--        only
--
-- A tally is an hour (4 bytes, since the epoch) and its counts: sent, verified, refused, would be
-- refused (6 bytes each, signed), cost in millionths of money (a double). The past is such records,
-- oldest first: hours, and days where they are older than two days. Foreign values are errors
-- before anything is changed. fraud_keep writes them.

local HOUR, TRAFFIC, TRAFFIC_SIZE = 3600000, '>I4i6i6i6i6d', 36
local hour, past = floor(now / HOUR), nil
local had_hour, had_sent, had_verified, had_refused, had_would_refuse, had_cost = hour, 0, 0, 0, 0, 0
if had[3] then
  assert(#had[3] == 46 + TRAFFIC_SIZE, 'a foreign value')
  had_hour, had_sent, had_verified, had_refused, had_would_refuse, had_cost =
    unpack_bytes(TRAFFIC, had[3], 47)
  assert(had_cost - had_cost == 0, 'a foreign value')
  if had_hour < hour then
    past = (call('GET', KEYS[#KEYS]) or '') .. had[3]:sub(47)
    assert(#past % TRAFFIC_SIZE == 0, 'a foreign value')
    had_hour, had_sent, had_verified, had_refused, had_would_refuse, had_cost = hour, 0, 0, 0, 0, 0
  end
end
