-- Say how challenges stand, without their codes; change nothing.
--
-- KEYS   challenges, all of one phone
-- ARGV   none
-- Reply  one text of words: for each key "-" where there is no live challenge, otherwise "kind attempts
--        count", and for each of so many codes "expires at status" (see common.lua)

-- include clock
local words = {}
for index, key in ipairs(KEYS) do
  local raw = redis.call('GET', key)
  words[index] = '-'
  if raw and raw:sub(1, 1) ~= 'U' then
    local kind, attempts, nonces = struct.unpack('>c1I4B', raw)
    local codes = {}
    for from = 7 + nonces * 6, #raw, 51 do
      local ends, _, at, status = struct.unpack('>I6c6I6B', raw, from)
      if ends > now then
        codes[#codes + 1] = string.format(' %d %d %d', ends, at, status)
      end
    end
    if #codes > 0 then
      words[index] = string.format('%s %d %d', kind, attempts, #codes) .. table.concat(codes)
    end
  end
end
return table.concat(words, ' ')
