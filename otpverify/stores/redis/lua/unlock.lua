-- Clear what limits a phone: its sends, wrong codes and streaks, of one purpose or of all.
--
-- KEYS   phone
-- ARGV   scope (8 bytes), or nothing for all purposes
-- Reply  "1"

local log, scope = redis.call('GET', KEYS[1]), ARGV[1]
local kept, from = {}, 11
while scope ~= '' and log and from <= #log do
  local length = log:sub(from, from) == 'R' and 25 or 37
  if log:sub(from + 7, from + 14) ~= scope then
    kept[#kept + 1] = log:sub(from, from + length - 1)
  end
  from = from + length
end
if #kept > 0 then
  redis.call('SET', KEYS[1], log:sub(1, 10) .. table.concat(kept), 'KEEPTTL')
else
  redis.call('DEL', KEYS[1])
end
return '1'
