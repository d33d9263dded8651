-- The longest wait of all limits on a send, and which limit: 0 the cooldown, 1 and up the limits of
-- the policy, -1 the failures, -2 those in a row, the first of equals; and how many sends they leave (-1: no limit).

local function send_wait()
  local longest, which, room, from = 0, 0, -1, limits_at
  if cooldown > 0 and last and last > now - cooldown then
    longest = last + cooldown - now
  end
  for index = 1, limit_count do
    local free, span
    free, span, from = unpack_bytes('>I4I6', arguments, from)
    local at = sends[#sends - free + 1]
    if at and at + span - now > longest then
      longest, which = at + span - now, index
    end
    for place = #sends, 1, -1 do
      if free == 0 or sends[place] <= now - span then
        break
      end
      free = free - 1
    end
    if room < 0 or free < room then
      room = free
    end
  end
  if budget_wait > longest then
    longest, which = budget_wait, -1
  end
  if streak_wait > longest then
    longest, which = streak_wait, -2
  end
  return longest, which, room
end
