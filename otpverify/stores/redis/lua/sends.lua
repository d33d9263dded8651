-- One send in the phone's log, to be given back or marked: where the record is of this challenge's
-- send that was reserved at `at`, or nothing; and what its message's status is.

local DELIVERED, SENT = 2, {S = 0, T = 1, D = 2, K = 3, s = 0, t = 1, d = 2, k = 3}
local found, wanted = nil, pack_bytes('>I6c8c22', at, scope, sub(KEYS[2], -22))
for from = #log - 36, begin, -37 do
  if sub(log, from + 1, from + 36) == wanted and SENT[sub(log, from, from)] then
    found = from
  end
end
