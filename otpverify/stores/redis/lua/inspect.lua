-- Say what is kept of a phone; change nothing.
--
-- KEYS   phone
-- ARGV   none
-- Reply  one text of words: now, the retention's window and count, then for each streak "R at scope
--        count window", for each record "kind at scope name" (see common.lua). Records that the
--        retention no longer covers are among them.

-- include clock
local log, words = redis.call('GET', KEYS[1]) or '', {}
local window, count, from = 0, 0, 11
if log ~= '' then
  window, count = struct.unpack('>I6I4', log)
end
while log:sub(from, from) == 'R' do
  local at, whose, wrong, lapse = struct.unpack('>I6c8I4I6', log, from + 1)
  words[#words + 1] = string.format(' R %d %s %d %d', at, whose, wrong, lapse)
  from = from + 25
end
if (#log - from + 1) % 37 == 0 then
  for place = from, #log, 37 do
    words[#words + 1] = string.format(' %s %d %s %s', struct.unpack('>c1I6c8c22', log, place))
  end
end
return string.format('%d %d %d', now, window, count) .. table.concat(words)
