-- Say how far the newest code's message got; change nothing. That of a concealed challenge stays
-- queued.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy
-- Reply  "1 status" (see common.lua), or "0" when there is no live challenge

-- include clock
-- include common
local status
for from = codes_at or 1, kind and #raw or 0, 51 do
  local ends, _, _, got = unpack_bytes('>I6c6I6B', raw, from)
  status = ends > now and (concealed and 0 or got) or status
end
return status and '1 ' .. status or '0'
