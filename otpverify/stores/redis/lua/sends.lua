-- One send in the phone's log, to be given back or marked: where the record is of this challenge's
-- send that was reserved at `at`, or nothing; and which of all kinds of sends it is, four for each
-- status: see common.lua.

local DELIVERED, KINDS = 2, 'STDKUVWXstdk'
local found, found_kind
local wanted = pack_bytes('>I6c8c22', at, scope, sub(KEYS[2], -22))
for from = #log - 36, begin, -37 do
  local of = sub(log, from + 1, from + 36) == wanted and KINDS:find(sub(log, from, from), 1, true)
  if of then
    found, found_kind = from, of
  end
end
