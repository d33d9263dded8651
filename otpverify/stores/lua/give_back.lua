-- Take one event out of a counter again.
--
-- KEYS   counter
-- ARGV   at
-- Reply  {1}

local raw, at = redis.call('GET', KEYS[1]) or '', tonumber(ARGV[1])
for from = 1, #raw, 12 do
  if struct.unpack('>I6', raw, from) == at then
    local rest = raw:sub(1, from - 1) .. raw:sub(from + 12)
    if rest == '' then
      redis.call('DEL', KEYS[1])
    else
      redis.call('SET', KEYS[1], rest, 'KEEPTTL')
    end
    break
  end
end
return {1}
