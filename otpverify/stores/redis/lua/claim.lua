-- Count an attempt whose code is about to be hashed and checked.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, nonce (6 bytes)
-- Reply  "0 0" gone, "1 retry_in" exhausted, "2 0" pending
--
-- Safe to repeat: a claim with a nonce that was seen is not counted again.

-- include clock
-- include common
local nonce = sub(arguments, added_at)
if not kind then
  return '0 0'
end
for from = 7, codes_at - 6, 6 do
  if sub(raw, from, from + 5) == nonce then
    return '2 0'
  end
end
if left > 0 then
  attempts = attempts + 1
-- include attempt
  return '2 0'
end
-- include wait
return '1 ' .. send_wait()
