-- Give the send reserved at an instant back; void its code if it was not delivered.
--
-- KEYS   phone, challenge
-- ARGV   policy, scope, at, digest of the undelivered code or ''
-- Reply  {1, 0, expires_in, resend_in, attempts_left, sends_left, decoy}, or {0} when no live
--        challenge is left

local at, undelivered = tonumber(ARGV[3]), ARGV[4]
read_phone()
local sent = find_send(at)
if sent then
  give_back(sent)
end

local raw = call('GET', KEYS[2])
local kind, attempts, nonces, codes_at, expires = read_challenge(raw)
if kind and undelivered ~= '' then
  local void, kept = pack_bytes('>I6', at), {raw:sub(1, codes_at - 1)}
  for from = codes_at, #raw, 51 do
    if raw:sub(from + 12, from + 17) ~= void or raw:sub(from + 19, from + 50) ~= undelivered then
      kept[#kept + 1] = raw:sub(from, from + 50)
    end
  end
  raw = table.concat(kept)
  kind, attempts, nonces, codes_at, expires = read_challenge(raw)
  if kind then
    call('PSETEX', KEYS[2], expires - now, raw)
  else
    call('DEL', KEYS[2])
  end
end
if not kind then
  return {0}
end
return standing(1, 0, kind, attempts, expires)
