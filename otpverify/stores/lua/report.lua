-- Take in how far a message got; give its send back when it certainly did not arrive.
--
-- KEYS   phone, challenge
-- ARGV   policy, scope, at, status (see common.lua)
-- Reply  {known, changed, given_back}, each 0 or 1
--
-- Safe to repeat: a status that is there already is not news.

local at, status = tonumber(ARGV[3]), tonumber(ARGV[4])
read_phone()
local sent = find_send(at)
local raw = call('GET', KEYS[2])
local kind, _, _, codes_at, expires = read_challenge(raw)
local code, last
for from = codes_at or 1, kind and #raw or 0, 51 do
  local ends, _, reserved, got = unpack_bytes('>I6c6I6B', raw, from)
  if reserved == at and ends > now and not code then
    code, last = from, got
  end
end
if not last and sent then
  last = SENT[log:sub(sent, sent)]
end
if not last then
  return {0, 0, 0}
end
-- What is final stays; nothing goes backwards.
if last >= DELIVERED or status <= last then
  return {1, 0, 0}
end

local given_back, marked = false, false
if sent and status > DELIVERED then
  given_back = give_back(sent)
elseif sent then
  marked = mark(sent, KINDS[status + 1])
end
if code then
  raw = raw:sub(1, code + 17) .. pack_bytes('B', status) .. raw:sub(code + 19)
  call('PSETEX', KEYS[2], expires - now, raw)
end
return {1, (code or marked or given_back) and 1 or 0, given_back and 1 or 0}
